// Costs follow what was measured, and cutting again ends with the best plan.
#include "cli/stage_balance.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sparse_run::cli {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;

/// Nodes [0, cut) on rank 0, the others on rank 1.
Plan plan_of(NodeId nodes, NodeId cut, const std::vector<double>& node_s) {
  Plan plan;
  plan.partitions.resize(2);
  plan.partitions[1].rank = 1;
  double stage_s[2] = {0, 0};
  for (NodeId node = 0; node < nodes; ++node) {
    const std::size_t stage = node < cut ? 0 : 1;
    plan.partitions[stage].nodes.push_back(node);
    stage_s[stage] += node_s[node];
  }
  plan.bottleneck_s = std::max(stage_s[0], stage_s[1]);
  return plan;
}

/// The best cut of a chain.
Plan cut_chain(const std::vector<double>& node_s) {
  const auto nodes = static_cast<NodeId>(node_s.size());
  Plan best = plan_of(nodes, 1, node_s);
  for (NodeId cut = 2; cut < nodes; ++cut) {
    Plan plan = plan_of(nodes, cut, node_s);
    if (plan.bottleneck_s < best.bottleneck_s) best = plan;
  }
  return best;
}

std::vector<double> measured(const Plan& plan, const std::vector<double>& true_s) {
  std::vector<double> stage_s(2, 0);
  for (const PlannedPartition& partition : plan.partitions) {
    for (const NodeId node : partition.nodes) stage_s[static_cast<std::size_t>(partition.rank)] += true_s[node];
  }
  return stage_s;
}

TEST(StageBalance, costs_are_scaled_to_what_each_stage_took) {
  const std::vector<double> node_s{1, 3, 2, 2};
  const Plan plan = plan_of(4, 2, node_s);
  EXPECT_THAT(scaled_to_stages(plan, node_s, std::vector<double>{2, 8}),
              ElementsAre(DoubleEq(0.5), DoubleEq(1.5), DoubleEq(4), DoubleEq(4)));
  EXPECT_THAT(scaled_to_stages(plan, node_s, std::vector<double>{2, 0}),
              ElementsAre(DoubleEq(0.5), DoubleEq(1.5), DoubleEq(2), DoubleEq(2)));
}

TEST(StageBalance, a_cut_that_was_predicted_wrongly_moves) {
  const std::vector<double> true_s{4, 4, 4, 1, 1, 1, 1};  // predicted as equal
  std::vector<double> node_s(7, 1);
  Plan plan = cut_chain(node_s);
  StageBalance balance;
  const auto before = measured(plan, true_s);
  int rounds = 0;
  Balance next = Balance::cut;
  while (next == Balance::cut) {
    ASSERT_LT(++rounds, 10);
    next = balance.next(plan, node_s, measured(plan, true_s), cut_chain);
  }
  const auto after = measured(plan, true_s);
  EXPECT_LT(std::max(after[0], after[1]), std::max(before[0], before[1]));
  EXPECT_THAT(balance.stage_seconds(), ElementsAre(after[0], after[1]));
}

TEST(StageBalance, a_balanced_plan_is_kept) {
  std::vector<double> node_s(8, 1);
  Plan plan = cut_chain(node_s);
  StageBalance balance;
  EXPECT_EQ(balance.next(plan, node_s, std::vector<double>{4.1, 4.0}, cut_chain), Balance::keep);
}

TEST(StageBalance, a_plan_that_turns_out_worse_gives_way_to_the_best_before) {
  std::vector<double> node_s(8, 1);
  Plan plan = plan_of(8, 6, node_s);
  StageBalance balance;
  ASSERT_EQ(balance.next(plan, node_s, std::vector<double>{6, 2}, cut_chain), Balance::cut);
  Balance next = Balance::cut;
  while (next == Balance::cut) next = balance.next(plan, node_s, std::vector<double>{9, 9}, cut_chain);
  EXPECT_EQ(next, Balance::restore);
  EXPECT_EQ(plan.partitions[0].nodes.size(), 6u);
  EXPECT_THAT(balance.stage_seconds(), ElementsAre(6, 2));
}

}  // namespace
}  // namespace sparse_run::cli
