// Weighing plans by their slowest stage.
#include "cli/stage_balance.hpp"

#include <algorithm>

namespace sparse_run::cli {

namespace {

constexpr int kMostPlans = 4;      // measured; every one is compiled
constexpr double kClearly = 0.95;  // of the best plan's slowest stage
constexpr double kAsGoodAs = 1.02;

}  // namespace

std::vector<double> scaled_to_stages(const Plan& plan, std::vector<double> node_s, std::span<const double> stage_s) {
  std::vector<double> predicted(stage_s.size(), 0);
  for (const PlannedPartition& partition : plan.partitions) {
    for (const NodeId node : partition.nodes) predicted.at(static_cast<std::size_t>(partition.rank)) += node_s[node];
  }
  for (const PlannedPartition& partition : plan.partitions) {
    const auto rank = static_cast<std::size_t>(partition.rank);
    if (predicted[rank] <= 0 || stage_s[rank] <= 0) continue;
    for (const NodeId node : partition.nodes) node_s[node] *= stage_s[rank] / predicted[rank];
  }
  return node_s;
}

void StageBalance::note(const Plan& plan, std::span<const double> stage_s) {
  last_s_ = stage_s.empty() ? 0 : *std::max_element(stage_s.begin(), stage_s.end());
  if (measured_++ > 0 && last_s_ >= best_s_) return;
  best_s_ = last_s_;
  best_ = plan;
  best_stage_s_.assign(stage_s.begin(), stage_s.end());
}

bool StageBalance::may_cut() const noexcept { return measured_ < kMostPlans; }
bool StageBalance::promising(const Plan& plan) const noexcept { return plan.bottleneck_s < kClearly * best_s_; }
bool StageBalance::last_is_worse() const noexcept { return last_s_ > kAsGoodAs * best_s_; }

}  // namespace sparse_run::cli
