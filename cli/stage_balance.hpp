// Stages of a pipeline as they were measured: costs of nodes that agree with them, and when to cut again.
#pragma once

#include <span>
#include <vector>

#include "partitioner/plan.hpp"

namespace sparse_run::cli {

/// `node_s`, parallel to the nodes of the graph, with those of each stage of `plan` scaled alike so that the stage
/// takes what was measured. `stage_s` is by rank of the plan; a stage that nothing was measured of (0) keeps its costs.
std::vector<double> scaled_to_stages(const Plan& plan, std::vector<double> node_s, std::span<const double> stage_s);

/// What a pipeline does next.
enum class Balance : int {
  keep,     ///< the plan that was measured last
  cut,      ///< another plan, to be measured
  restore,  ///< the best one before
};

/// Remembers the best of the plans that were measured. Each new one comes from the costs that the last measurement
/// gave; it is tried where it promises to be clearly faster than the best.
class StageBalance {
 public:
  /// `plan` was measured: `stage_s` by its ranks. `cut` makes a plan of the node costs, whose bottleneck_s counts.
  /// What comes next, and its plan in `plan`.
  template <class Cut>
  Balance next(Plan& plan, std::vector<double>& node_s, std::span<const double> stage_s, const Cut& cut) {
    note(plan, stage_s);
    node_s = scaled_to_stages(plan, std::move(node_s), stage_s);
    if (may_cut()) {
      Plan promised = cut(node_s);
      if (promising(promised)) {
        plan = std::move(promised);
        return Balance::cut;
      }
    }
    if (!last_is_worse()) return Balance::keep;
    plan = best_;
    return Balance::restore;
  }
  /// Of the best plan, by rank.
  const std::vector<double>& stage_seconds() const noexcept { return best_stage_s_; }

 private:
  void note(const Plan& plan, std::span<const double> stage_s);
  bool may_cut() const noexcept;
  bool promising(const Plan& plan) const noexcept;
  bool last_is_worse() const noexcept;

  int measured_ = 0;  // plans
  double last_s_ = 0;
  double best_s_ = 0;
  Plan best_;
  std::vector<double> best_stage_s_;
};

}  // namespace sparse_run::cli
