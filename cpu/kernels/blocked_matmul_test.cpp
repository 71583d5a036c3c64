// Products with packed weights against the reference kernels: shapes, operands and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <numeric>

#include "cpu/kernels/blocked_split.hpp"
#include "cpu/program.hpp"
#include "cpu/reference/pass_check.hpp"
#include "cpu/selection/selector.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::cpu {
namespace {

using Attributes = GraphSketch::Attributes;

/// Runs the graph's only node on the kernel, compares with the reference, and returns the kernel that ran.
std::string run_pinned(GraphSketch& sketch, const std::string& kernel) {
  reference::ReferenceEvaluator evaluator;
  Partition partition;
  partition.graph = std::make_shared<const Graph>(fold_constants(sketch.build(), evaluator));
  partition.nodes = {0};
  partition.inputs.assign(partition.graph->inputs().begin(), partition.graph->inputs().end());
  partition.outputs.assign(partition.graph->outputs().begin(), partition.graph->outputs().end());
  CompileOptions options;
  options.threads = 2;
  options.kernels = {{0, kernel}};
  const Machine machine;
  const Program program(partition, Environment{.machine = machine, .threads = 2}, options, SelectionPolicy{});
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  const auto inputs = reference::random_inputs(*partition.graph, seed);
  std::vector<Value> outputs(1);
  RunState state;
  program.run(inputs, outputs, state);
  reference::expect_close(outputs[0].tensor, reference::run_graph(*partition.graph, inputs)[0].tensor, 1e-4);
  return program.layers()[0].kernel;
}

Tensor weights_of(Shape shape) {
  std::mt19937 random(7);
  return reference::random_tensor(Type::tensor(DType::f32, std::move(shape)), random);
}

constexpr auto kBlocked = "cpu.matmul.blocked.f32";

TEST(BlockedMatmul, rows_and_widths_that_fill_no_tile) {
  for (const std::int64_t m : {4, 13, 15, 64, 129}) {
    for (const std::int64_t k : {1, 16, 77}) {
      for (const std::int64_t n : {16, 48, 80}) {
        SCOPED_TRACE(testing::Message() << m << "x" << k << "x" << n);
        GraphSketch g;
        g.output(g.op("MatMul", {g.input("x", {m, k}), g.constant(weights_of({k, n}))}));
        EXPECT_EQ(run_pinned(g, kBlocked), kBlocked);
      }
    }
  }
}

TEST(BlockedMatmul, many_rows_are_copied_in_panels) {
  for (const std::int64_t m : {1024, 1025, 2048, 2500}) {
    SCOPED_TRACE(m);
    GraphSketch g;
    const auto x = g.input("x", {m, 2050});
    const auto residual = g.input("residual", {m, 16});
    g.output(g.op("FusedMatMul", {x, g.constant(weights_of({2050, 16})), g.constant(weights_of({16})), residual},
                  {{"activation", std::string("Relu")}}, kInternalDomain));
    EXPECT_EQ(run_pinned(g, kBlocked), kBlocked);
  }
}

TEST(BlockedMatmul, leading_dimensions_are_rows) {
  GraphSketch g;
  g.output(g.op("MatMul", {g.input("x", {2, 3, 5, 24}), g.constant(weights_of({24, 32}))}));
  EXPECT_EQ(run_pinned(g, kBlocked), kBlocked);
}

TEST(BlockedMatmul, gemm_with_transposed_weights_scale_and_bias) {
  GraphSketch g;
  g.output(g.op("Gemm", {g.input("x", {9, 33}), g.constant(weights_of({48, 33})), g.constant(weights_of({48}))},
                {{"transB", std::int64_t{1}}, {"alpha", 0.5f}}));
  EXPECT_EQ(run_pinned(g, kBlocked), kBlocked);
}

TEST(BlockedMatmul, bias_residual_and_activation_of_a_fused_product) {
  GraphSketch g;
  const auto x = g.input("x", {17, 40});
  const auto residual = g.input("residual", {17, 64});
  g.output(g.op("FusedMatMul", {x, g.constant(weights_of({40, 64})), g.constant(weights_of({64})), residual},
                {{"activation", std::string("Gelu")}}, kInternalDomain));
  EXPECT_EQ(run_pinned(g, kBlocked), kBlocked);
}

TEST(BlockedMatmul, products_it_cannot_compute_are_refused) {
  const auto refused = [](Shape x, Shape w, std::string op, Attributes attributes = {}) {
    GraphSketch g;
    g.output(
        g.op(std::move(op), {g.input("x", std::move(x)), g.constant(weights_of(std::move(w)))}, std::move(attributes)));
    try {
      run_pinned(g, kBlocked);
    } catch (const Error& error) {
      return error.kind() == ErrorKind::usage;
    }
    return false;
  };
  EXPECT_TRUE(refused({8, 16}, {16, 20}, "MatMul"));        // no whole blocks
  EXPECT_TRUE(refused({2, 16}, {16, 32}, "MatMul"));        // few rows
  EXPECT_TRUE(refused({2, 8, 16}, {2, 16, 32}, "MatMul"));  // a matrix for each batch
  EXPECT_TRUE(refused({16, 8}, {16, 32}, "Gemm", {{"transA", std::int64_t{1}}}));
}

TEST(BlockedSplit, tasks_cover_every_block_of_every_position_once) {
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < 200; ++round) {
    BlockedWork work;
    const auto draw = [&](int low, int high) { return std::uniform_int_distribution<std::int64_t>(low, high)(random); };
    work.images = draw(1, 3);
    work.positions = draw(1, 60);
    work.position_step = draw(1, 14);
    work.blocks = draw(1, 20);
    work.block_step = draw(1, 2);
    work.flops = static_cast<double>(draw(1, 1 << 30));
    work.input_bytes = static_cast<double>(draw(1, 1 << 24));
    work.weight_bytes = static_cast<double>(draw(1, 1 << 24));
    const BlockedSplit split = split_blocked(work, static_cast<int>(draw(1, 16)));
    std::vector<int> seen(static_cast<std::size_t>(work.images * work.positions * work.blocks));
    for (std::int64_t i = 0; i < split.tasks(); ++i) {
      const auto task = split.task(i);
      EXPECT_EQ(task.block_begin % work.block_step, 0);
      for (std::int64_t p = task.position_begin; p < task.position_end; ++p) {
        for (std::int64_t b = task.block_begin; b < task.block_end; ++b) {
          ++seen[static_cast<std::size_t>((task.image * work.positions + p) * work.blocks + b)];
        }
      }
    }
    ASSERT_THAT(seen, testing::Each(1)) << "round " << round;
  }
}

}  // namespace
}  // namespace sparse_run::cpu
