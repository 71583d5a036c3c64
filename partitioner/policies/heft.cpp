// Policy "heft": heterogeneous earliest finish time with insertion, aware of memory.
#include <algorithm>
#include <limits>
#include <numeric>

#include "partitioner/policies/policy.hpp"

namespace sparse_run {

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

/// Busy intervals of one device, ascending.
class Timeline {
 public:
  /// The earliest start from `ready` on where `seconds` fit between what is there.
  double earliest(double ready, double seconds) const {
    double start = ready;
    const auto first = std::upper_bound(busy_.begin(), busy_.end(), ready,
                                        [](double time, const auto& interval) { return time < interval.second; });
    for (auto interval = first; interval != busy_.end(); ++interval) {
      if (interval->first - start >= seconds) return start;
      start = std::max(start, interval->second);
    }
    return start;
  }
  void occupy(double start, double end) {
    const auto at = std::upper_bound(busy_.begin(), busy_.end(), std::pair(start, end));
    busy_.insert(at, {start, end});
  }

 private:
  std::vector<std::pair<double, double>> busy_;
};

/// Topcuoglu, Hariri, Wu: "Performance-effective and low-complexity task scheduling for heterogeneous computing",
/// IEEE TPDS 13 (2002).
class HeftPolicy final : public Policy {
 public:
  std::string name() const override { return "heft"; }
  std::string purpose() const override {
    return "nodes by their distance to the end, each where it is finished first, gaps used (HEFT), within memory";
  }

  Assignment assign(const PlacementProblem& problem, const PolicyOptions&) const override {
    const std::vector<double> rank = upward_ranks(problem);
    std::vector<int> order(problem.works.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return rank[index(a)] > rank[index(b)]; });
    std::vector<Timeline> timelines(problem.devices.size());
    std::vector<double> room;
    for (const CandidateDevice& device : problem.devices) room.push_back(static_cast<double>(device.memory_limit));
    std::vector<double> done(problem.works.size(), 0);
    Assignment assignment(problem.works.size(), 0);
    for (const int node : order) {
      int best = -1;
      bool best_fits = false;
      double best_start = 0;
      double best_end = std::numeric_limits<double>::infinity();
      for (int device = 0; device < problem.device_count(); ++device) {
        if (!problem.may(node, device)) continue;
        double ready = 0;
        bool comes_over = false;
        for (const int v : problem.reads[index(node)]) {
          const FlowingValue& value = problem.values[index(v)];
          const int from = value.producer < 0 ? 0 : assignment[index(value.producer)];
          const double produced = value.producer < 0 ? 0 : done[index(value.producer)];
          ready = std::max(ready, produced + problem.copy_time(from, device, value.bytes));
          comes_over |= from != device;
        }
        const double seconds =
            problem.time(node, device) + (comes_over ? problem.overhead(device, problem.time(node, device)) : 0);
        const double start = timelines[index(device)].earliest(ready, seconds);
        // Beside the weights there has to be room for the node's values, and for what its kernel makes of them.
        const double needed = static_cast<double>(problem.weight_bytes[problem.at(node, device)]) +
                              2 * problem.works[index(node)].activation_bytes;
        const bool fits = room[index(device)] >= needed;
        const bool better = best < 0 || (fits && !best_fits) || (fits == best_fits && start + seconds < best_end);
        if (!better) continue;
        best = device;
        best_fits = fits;
        best_start = start;
        best_end = start + seconds;
      }
      if (best < 0) best = allowed_device(problem, node, 0);
      assignment[index(node)] = best;
      done[index(node)] = best_end;
      timelines[index(best)].occupy(best_start, best_end);
      room[index(best)] -= static_cast<double>(problem.weight_bytes[problem.at(node, best)]);
    }
    return assignment;
  }

 private:
  static std::vector<double> upward_ranks(const PlacementProblem& problem) {
    const int devices = problem.device_count();
    double latency = 0;
    double per_byte = 0;
    for (std::size_t link = 0; link < problem.copy_latency_s.size(); ++link) {
      latency += problem.copy_latency_s[link];
      per_byte += problem.copy_s_per_byte[link];
    }
    const double links = std::max(1, devices * devices);
    std::vector<double> rank(problem.works.size(), 0);
    for (int node = problem.node_count(); node-- > 0;) {
      double mean = 0;
      for (int device = 0; device < devices; ++device) mean += problem.time(node, device);
      double behind = 0;
      for (const int v : problem.writes[index(node)]) {
        const FlowingValue& value = problem.values[index(v)];
        const double copy = latency / links + per_byte / links * static_cast<double>(value.bytes);
        for (const int reader : value.readers) behind = std::max(behind, copy + rank[index(reader)]);
      }
      // A strictly positive step keeps readers behind producers in the order even where nothing costs anything.
      rank[index(node)] = mean / devices + behind + 1e-12;
    }
    return rank;
  }
};

}  // namespace

PolicyPtr make_heft_policy() { return std::make_shared<HeftPolicy>(); }

}  // namespace sparse_run
