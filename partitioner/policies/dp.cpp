// Policy "dp": the best way to cut the model's order into runs of one device each, by dynamic programming.
#include <algorithm>
#include <limits>
#include <numeric>

#include "partitioner/policies/policy.hpp"

namespace sparse_run {

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

/// A prefix of the nodes placed, the last one on `device`.
struct State {
  int device = 0;
  int before = -1;  ///< index of the state this one extends, in the previous column
  double latency = 0;
  double run_s = 0;            ///< of the nodes of the run it is in
  std::vector<double> load;    ///< seconds per device, then per link: for throughput
  std::vector<double> memory;  ///< bytes per device: where memory is short
};

/// In a chain every placement is a sequence of runs, so that this is optimal as long as no column of states had to be
/// thinned out. Other graphs are treated as if the values that cross a position moved together.
class DpPolicy final : public Policy {
 public:
  std::string name() const override { return "dp"; }
  std::string purpose() const override {
    return "the best runs of nodes in the model's order, each run on one device: optimal on chains";
  }
  std::vector<PolicyParameter> parameters() const override {
    return {{"states", "partial placements kept per node and device, for throughput or short memory (by size)"}};
  }

  Assignment assign(const PlacementProblem& problem, const PolicyOptions& options) const override {
    if (problem.node_count() == 0) return {};
    const int nodes = problem.node_count();
    const std::size_t by_size =
        nodes <= 12 && problem.device_count() <= 3
            ? 4096
            : static_cast<std::size_t>(std::clamp(6000 / (nodes * problem.device_count()), 2, 64));
    Search search(problem, options.objective,
                  static_cast<std::size_t>(options.number_or("states", static_cast<double>(by_size), 1, 1e6)));
    return search.run();
  }

 private:
  class Search {
   public:
    Search(const PlacementProblem& problem, Objective objective, std::size_t keep)
        : problem_(problem), devices_(problem.device_count()), objective_(objective), keep_(keep) {
      counts_load_ = objective == Objective::throughput;
      counts_memory_ = objective == Objective::memory || memory_is_short();
      collect_crossings();
    }

    Assignment run() {
      std::vector<std::vector<State>> columns;
      State start;
      start.device = -1;
      if (counts_load_) start.load.assign(index(devices_ + devices_ * devices_), 0);
      if (counts_memory_) start.memory.assign(index(devices_), 0);
      columns.push_back({start});
      for (int node = 0; node < problem_.node_count(); ++node) {
        std::vector<State> column;
        for (int device = 0; device < devices_; ++device) {
          if (!problem_.may(node, device)) continue;
          std::vector<State> reached;
          for (std::size_t s = 0; s < columns.back().size(); ++s) {
            reached.push_back(extend(columns.back()[s], static_cast<int>(s), node, device));
          }
          thin(reached);
          for (State& state : reached) column.push_back(std::move(state));
        }
        if (column.empty()) allowed_device(problem_, node, 0);  // throws: nothing can run it
        columns.push_back(std::move(column));
      }
      return best_of(columns);
    }

   private:
    bool memory_is_short() const {
      for (int device = 0; device < devices_; ++device) {
        double all = 0;
        for (int node = 0; node < problem_.node_count(); ++node) {
          all += static_cast<double>(problem_.weight_bytes[problem_.at(node, device)]);
        }
        if (all > 0.9 * static_cast<double>(problem_.devices[index(device)].memory_limit)) return true;
      }
      return false;
    }

    /// crossing_[i]: values that exist before node i and are needed from it on; at the end, the outputs.
    void collect_crossings() {
      const int nodes = problem_.node_count();
      bytes_.assign(index(nodes + 1), 0);
      values_.assign(index(nodes + 1), 0);
      for (const FlowingValue& value : problem_.values) {
        const int first = value.producer + 1;
        const int last = value.is_output ? nodes : value.readers.empty() ? -1 : value.readers.back();
        for (int i = first; i <= last; ++i) {
          // A value with readers far apart is not carried along by everything between them.
          const bool needed_here =
              i == first || i == nodes || std::binary_search(value.readers.begin(), value.readers.end(), i);
          if (!needed_here && value.readers.size() > 2) continue;
          bytes_[index(i)] += static_cast<double>(value.bytes);
          values_[index(i)] += 1;
        }
      }
    }

    double switch_time(int position, int from, int to) const {
      const std::size_t link = index(from) * problem_.devices.size() + index(to);
      const double seconds = problem_.copy_latency_s[link] * values_[index(position)] +
                             problem_.copy_s_per_byte[link] * bytes_[index(position)];
      return seconds + handover_after(seconds, problem_.copy_wake_s[link]);
    }

    State extend(const State& state, int before, int node, int device) const {
      State next = state;
      next.device = device;
      next.before = before;
      const int from = state.device < 0 ? 0 : state.device;
      const bool begins_run = state.device != device;
      // A run is dearer by what its end costs, which grows with its length up to a point.
      const double before_it = begins_run ? 0 : state.run_s + problem_.overhead(device, state.run_s);
      next.run_s = (begins_run ? 0 : state.run_s) + problem_.time(node, device);
      const double seconds = next.run_s + problem_.overhead(device, next.run_s) - before_it;
      next.latency += seconds;
      if (counts_load_) next.load[index(device)] += seconds;
      if (from != device) {
        const double copy = switch_time(node, from, device);
        next.latency += copy;
        if (counts_load_) next.load[index(devices_ + from * devices_ + device)] += copy;
      }
      if (counts_memory_) {
        next.memory[index(device)] += static_cast<double>(problem_.weight_bytes[problem_.at(node, device)]);
      }
      return next;
    }

    double share_of_memory(const State& state) const {
      double largest = 0;
      for (std::size_t d = 0; d < state.memory.size(); ++d) {
        largest =
            std::max(largest, state.memory[d] / std::max(1.0, static_cast<double>(problem_.devices[d].memory_limit)));
      }
      return largest;
    }

    double value_of(const State& state) const {
      const double share = share_of_memory(state);
      if (share > 1) return 1e9 * share;
      if (objective_ == Objective::throughput) {
        return *std::max_element(state.load.begin(), state.load.end()) + 1e-6 * state.latency;
      }
      return objective_ == Objective::memory ? share + 1e-6 * state.latency : state.latency;
    }

    bool dominates(const State& a, const State& b) const {
      if (objective_ != Objective::throughput && a.latency > b.latency) return false;
      for (std::size_t i = 0; i < a.load.size(); ++i) {
        if (a.load[i] > b.load[i]) return false;
      }
      for (std::size_t i = 0; i < a.memory.size(); ++i) {
        if (a.memory[i] > b.memory[i]) return false;
      }
      return true;
    }

    /// Drops states that another one beats in everything that matters later, then the worst beyond `keep_`.
    void thin(std::vector<State>& states) const {
      std::vector<std::pair<double, std::size_t>> order;
      for (std::size_t i = 0; i < states.size(); ++i) order.emplace_back(value_of(states[i]), i);
      std::sort(order.begin(), order.end());
      const std::size_t most = counts_load_ || counts_memory_ ? keep_ : 1;
      std::vector<State> kept;
      for (const auto& [value, i] : order) {
        if (kept.size() >= most) break;
        const bool beaten =
            std::any_of(kept.begin(), kept.end(), [&](const State& better) { return dominates(better, states[i]); });
        if (!beaten) kept.push_back(std::move(states[i]));
      }
      states = std::move(kept);
    }

    Assignment best_of(const std::vector<std::vector<State>>& columns) const {
      const int nodes = problem_.node_count();
      double least = std::numeric_limits<double>::infinity();
      int best = 0;
      for (std::size_t s = 0; s < columns.back().size(); ++s) {
        State last = columns.back()[s];
        if (last.device != 0) {
          const double copy = switch_time(nodes, last.device, 0);
          last.latency += copy;
          if (counts_load_) last.load[index(devices_ + last.device * devices_)] += copy;
        }
        if (value_of(last) < least) {
          least = value_of(last);
          best = static_cast<int>(s);
        }
      }
      Assignment assignment(problem_.works.size());
      for (int node = nodes; node-- > 0;) {
        const State& state = columns[index(node + 1)][index(best)];
        assignment[index(node)] = state.device;
        best = state.before;
      }
      return assignment;
    }

    const PlacementProblem& problem_;
    int devices_;
    Objective objective_;
    std::size_t keep_;
    bool counts_load_ = false;
    bool counts_memory_ = false;
    std::vector<double> bytes_;
    std::vector<double> values_;
  };
};

}  // namespace

PolicyPtr make_dp_policy() { return std::make_shared<DpPolicy>(); }

}  // namespace sparse_run
