// Policy "greedy": node by node in the model's order, each where it would be finished first.
#include <limits>

#include "partitioner/policies/policy.hpp"

namespace sparse_run {

namespace {

class GreedyPolicy final : public Policy {
 public:
  std::string name() const override { return "greedy"; }
  std::string purpose() const override { return "node by node in the model's order, each where it is finished first"; }
  Assignment assign(const PlacementProblem& problem, const PolicyOptions&) const override {
    const std::size_t devices = problem.devices.size();
    std::vector<double> free(devices, 0);
    std::vector<double> room;
    for (const CandidateDevice& device : problem.devices) room.push_back(static_cast<double>(device.memory_limit));
    std::vector<double> done(problem.works.size(), 0);
    Assignment assignment(problem.works.size(), 0);
    for (int node = 0; node < problem.node_count(); ++node) {
      int best = -1;
      double earliest = std::numeric_limits<double>::infinity();
      for (int device = 0; device < problem.device_count(); ++device) {
        if (!problem.may(node, device)) continue;
        double start = free[static_cast<std::size_t>(device)];
        bool comes_over = problem.reads[static_cast<std::size_t>(node)].empty();
        for (const int v : problem.reads[static_cast<std::size_t>(node)]) {
          const FlowingValue& value = problem.values[static_cast<std::size_t>(v)];
          const int from = value.producer < 0 ? 0 : assignment[static_cast<std::size_t>(value.producer)];
          const double ready = value.producer < 0 ? 0 : done[static_cast<std::size_t>(value.producer)];
          start = std::max(start, ready + problem.copy_time(from, device, value.bytes));
          comes_over |= from != device;
        }
        if (comes_over) start += problem.overhead(device, problem.time(node, device));
        const bool fits = room[static_cast<std::size_t>(device)] >=
                          static_cast<double>(problem.weight_bytes[problem.at(node, device)]);
        const double end = start + problem.time(node, device);
        if (best < 0 || (fits && end < earliest)) {
          best = device;
          earliest = fits ? end : std::numeric_limits<double>::infinity();
          if (!fits) done[static_cast<std::size_t>(node)] = end;
        }
      }
      if (best < 0) best = allowed_device(problem, node, 0);
      assignment[static_cast<std::size_t>(node)] = best;
      if (earliest < std::numeric_limits<double>::infinity()) done[static_cast<std::size_t>(node)] = earliest;
      free[static_cast<std::size_t>(best)] = done[static_cast<std::size_t>(node)];
      room[static_cast<std::size_t>(best)] -= static_cast<double>(problem.weight_bytes[problem.at(node, best)]);
    }
    return assignment;
  }
};

}  // namespace

PolicyPtr make_greedy_policy() { return std::make_shared<GreedyPolicy>(); }

}  // namespace sparse_run
