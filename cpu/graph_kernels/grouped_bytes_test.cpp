// Memory for grouped edges counts every list once.
#include "cpu/graph_kernels/grouped_bytes.hpp"

#include <gtest/gtest.h>

#include "graph/ops/aggregate.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::cpu {
namespace {

TEST(GroupedBytes, layers_over_the_same_edges_share_them) {
  constexpr std::int64_t kNodes = 10, kEdges = 30;
  GraphSketch s;
  const ValueId targets = s.input("targets", {kEdges}, DType::i64);
  const ValueId sources = s.input("sources", {kEdges}, DType::i64);
  const ValueId others = s.input("others", {kEdges}, DType::i64);
  ValueId x = s.input("x", {kNodes, 4});
  for (const ValueId by : {sources, sources, others}) {
    Aggregate aggregate;
    aggregate.shape = {kNodes, 4};
    aggregate.width = 4;
    aggregate.roles = {Aggregate::index, Aggregate::index, 1};
    aggregate.spans = {0, 0, aggregate.full()};
    aggregate.message.push(RowExpression::Op::operand, 2);
    Node node;
    aggregate.store(node);
    x = s.op("SparseAggregate", {targets, by, x}, node.attributes, kInternalDomain);
  }
  const auto graph = std::make_shared<const Graph>(s.build(x));
  const Partition partition{graph, {0, 1, 2}, {}, {}};
  // Groups of one list of targets, and two lists of sources in their order.
  EXPECT_EQ(grouped_bytes(partition), 4u * (kEdges + kNodes + 1 + 2 * kEdges));
  EXPECT_EQ(grouped_bytes({graph, {}, {}, {}}), 0u);
}

}  // namespace
}  // namespace sparse_run::cpu
