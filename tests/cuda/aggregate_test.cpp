// Sums and extrema along the edges of a graph, on the CUDA device against the reference kernel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/ops/aggregate.hpp"
#include "tests/cuda/node_trial.hpp"

namespace sparse_run::gpu::cuda {
namespace {

using Op = RowExpression::Op;
using testing::AllOf;
using testing::HasSubstr;

/// A graph with random edges.
struct Edges {
  Tensor targets;
  Tensor sources;
};

Edges random_edges(std::mt19937_64& random, std::int64_t count, std::int64_t nodes, std::int64_t sources) {
  Edges edges{Tensor::allocate(DType::i64, {count}), Tensor::allocate(DType::i32, {count})};
  for (std::int64_t& target : edges.targets.data<std::int64_t>()) {
    target = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(nodes));
    if (random() % 5 == 0) target -= nodes;
  }
  for (std::int32_t& source : edges.sources.data<std::int32_t>()) {
    source = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(sources));
  }
  return edges;
}

/// y[n] = tail(Σ w[e] x[sources[e]]) with operands targets, sources, x, w.
Aggregate weighted_sum(std::int64_t nodes, std::int64_t width, bool relu) {
  Aggregate sum;
  sum.shape = {nodes, width};
  sum.width = width;
  sum.roles = {Aggregate::index, Aggregate::index, 1, Aggregate::per_edge};
  sum.spans = {0, 0, sum.normalized(kWidth), 0};
  sum.message.push(Op::operand, 2);
  sum.message.push(Op::operand, 3);
  sum.message.push(Op::mul);
  if (relu) {
    sum.tail.push(Op::operand, 0);
    sum.tail.push(Op::relu);
  }
  return sum;
}

NodeTrial trial_of(const Aggregate& aggregate) {
  return NodeTrial("SparseAggregate", 1, kInternalDomain).with_all([&](Node& node) { aggregate.store(node); });
}

class Aggregates : public testing::Test {
 protected:
  void expect_same(const NodeTrial& trial, const std::string& kernel, Device& device) {
    const auto outcome = trial.run(device);
    EXPECT_EQ(outcome.kernel, kernel);
    EXPECT_LT(divergence(outcome.results[0], trial.expected()[0].tensor), 1e-5);
  }
  std::shared_ptr<Device> device_ = host_device();
  std::mt19937_64 random_{11};
};

TEST_F(Aggregates, sums_over_constant_edges_are_products_with_a_sparse_matrix) {
  for (const bool relu : {false, true}) {
    const Edges edges = random_edges(random_, 70, 13, 9);
    NodeTrial trial = trial_of(weighted_sum(13, 5, relu));
    trial.constant(edges.targets).constant(edges.sources).operand(random_tensor(random_, {9, 5}));
    trial.operand(random_tensor(random_, {70}));
    expect_same(trial, "gpu.aggregate.cusparse.f32", *device_);
    expect_same(trial, "gpu.aggregate.rows.f32", *host_device({.generated = false}, true));
  }
}

TEST_F(Aggregates, edges_of_a_request_are_put_in_order_on_the_gpu) {
  const Edges edges = random_edges(random_, 90, 17, 8);
  NodeTrial trial = trial_of(weighted_sum(17, 3, true));
  trial.operand(edges.targets).operand(edges.sources).operand(random_tensor(random_, {8, 3}));
  trial.operand(random_tensor(random_, {90}));
  expect_same(trial, "gpu.aggregate.rows.f32", *device_);
  const auto bare = host_device({.generated = false}, true);
  EXPECT_THAT(trial.refusal(*bare), AllOf(HasSubstr("known at run time only"), HasSubstr("cuSPARSE")));
}

TEST_F(Aggregates, extrema_heads_and_expressions_are_computed_row_by_row) {
  for (const auto reduction : {Aggregate::Reduction::max, Aggregate::Reduction::min, Aggregate::Reduction::add}) {
    Aggregate one;
    one.shape = {11, 2, 4};
    one.heads = 2;
    one.width = 4;
    one.reduction = reduction;
    one.initial = reduction == Aggregate::Reduction::add ? 0.5f : one.neutral();
    one.roles = {Aggregate::index, Aggregate::index, 1, Aggregate::per_edge, Aggregate::fixed, Aggregate::per_node};
    one.spans = {0, 0, one.full(), kHeads, kWidth, one.full()};
    one.message.push(Op::operand, 2);
    one.message.push(Op::operand, 3);
    one.message.push(Op::mul);
    one.message.push(Op::operand, 4);
    one.message.push(Op::add);
    one.message.push_number(0.1f);
    one.message.push(Op::leaky_relu, 0);
    one.tail.push(Op::operand, 0);
    one.tail.push(Op::operand, 5);
    one.tail.push(Op::max);
    one.tail.push(Op::tanh);
    one.message.steps.erase(one.message.steps.end() - 2);  // the number is the slope's, not a value
    const Edges edges = random_edges(random_, 60, 11, 7);
    NodeTrial trial = trial_of(one);
    trial.constant(edges.targets).operand(edges.sources).operand(random_tensor(random_, {7, 2, 4}));
    trial.operand(random_tensor(random_, {60, 2, 1})).operand(random_tensor(random_, {4}));
    trial.operand(random_tensor(random_, {11, 2, 4}));
    expect_same(trial, "gpu.aggregate.rows.f32", *device_);
  }
}

TEST_F(Aggregates, rows_without_edges_are_the_tail_of_the_initial_value) {
  NodeTrial trial = trial_of(weighted_sum(4, 3, false));
  trial.operand(Tensor::allocate(DType::i64, {0})).operand(Tensor::allocate(DType::i32, {0}));
  trial.operand(random_tensor(random_, {5, 3})).operand(random_tensor(random_, {0}));
  expect_same(trial, "gpu.aggregate.rows.f32", *device_);
}

TEST_F(Aggregates, indices_out_of_range_are_named) {
  for (const bool target : {true, false}) {
    Edges edges = random_edges(random_, 20, 6, 8);
    NodeTrial trial = trial_of(weighted_sum(6, 3, false));
    trial.operand(edges.targets).operand(edges.sources).operand(random_tensor(random_, {8, 3}));
    trial.operand(random_tensor(random_, {20}));
    const auto graph = trial.graph();
    const Tensor weights = random_tensor(random_, {20});
    const Tensor rows = random_tensor(random_, {8, 3});
    if (target) {
      edges.targets.data<std::int64_t>()[7] = 6;
    } else {
      edges.sources.data<std::int32_t>()[7] = -9;
    }
    try {
      run_graph(*device_, graph, {edges.targets, edges.sources, rows, weights});
      FAIL() << "an edge from or to nowhere was followed";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::model);
      EXPECT_THAT(error.what(), AllOf(HasSubstr("index 7"), HasSubstr(target ? "operand0" : "operand1")));
    }
  }
}

}  // namespace
}  // namespace sparse_run::gpu::cuda
