// Batches that pass group by group: results, reports and times are those of the whole batch.
#include "cpu/staged_program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <numeric>

#include "cpu/blocked_graph.hpp"
#include "cpu/reference/pass_check.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::cpu {
namespace {

using Ints = std::vector<std::int64_t>;

Tensor weights_of(Shape shape, unsigned seed) {
  std::mt19937 random(seed);
  Tensor tensor = reference::random_tensor(Type::tensor(DType::f32, std::move(shape)), random);
  for (float& value : tensor.data<float>()) value *= 0.2f;
  return tensor;
}

Partition whole(Graph graph) {
  Partition partition;
  partition.graph = std::make_shared<const Graph>(std::move(graph));
  partition.nodes.resize(partition.graph->nodes().size());
  std::iota(partition.nodes.begin(), partition.nodes.end(), NodeId{0});
  partition.inputs.assign(partition.graph->inputs().begin(), partition.graph->inputs().end());
  partition.outputs.assign(partition.graph->outputs().begin(), partition.graph->outputs().end());
  return partition;
}

/// Small caches: images of a few KiB are large.
Machine small_machine() {
  Machine machine;
  machine.caches = {{1, 1024, 1}, {2, 8192, 1}};
  return machine;
}

/// A network whose first layers have large images and whose last one has large weights; `middle` is an output too.
Partition network(std::int64_t batch) {
  GraphSketch g;
  auto y = g.op("Conv", {g.input("x", {batch, 3, 24, 24}), g.constant(weights_of({32, 3, 3, 3}, 1))},
                {{"pads", Ints{1, 1, 1, 1}}});
  y = g.op("MaxPool", {y}, {{"kernel_shape", Ints{2, 2}}});
  const auto shortcut = y;
  y = g.op("Conv", {y, g.constant(weights_of({32, 32, 1, 1}, 2)), g.constant(weights_of({32}, 3))});
  y = g.op("Add", {y, shortcut});
  g.output(y);
  y = g.op("Conv", {y, g.constant(weights_of({256, 32, 3, 3}, 4))}, {{"strides", Ints{2, 2}}});
  g.output(g.op("GlobalAveragePool", {y}));
  reference::ReferenceEvaluator evaluator;
  return whole(fold_constants(g.build(), evaluator));
}

std::size_t grouped_stages(const std::vector<ImageStage>& stages) {
  return static_cast<std::size_t>(
      std::count_if(stages.begin(), stages.end(), [](const ImageStage& s) { return s.groups > 1; }));
}

TEST(StagedProgram, groups_of_images_give_the_results_of_the_batch) {
  for (const std::int64_t batch : {2, 6, 7}) {
    SCOPED_TRACE(batch);
    const Partition partition = network(batch);
    const auto blocked = with_blocked_images(partition, {});
    ASSERT_TRUE(blocked);
    const Machine machine = small_machine();
    const Environment environment{.machine = machine, .threads = 2};
    const auto stages = cut_into_image_stages(blocked->partition, blocked->options, environment);
    ASSERT_TRUE(stages);
    EXPECT_EQ(grouped_stages(*stages), 1u);
    const StagedProgram program(blocked->partition, *stages, environment, SelectionPolicy{});
    const unsigned seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    const auto inputs = reference::random_inputs(*partition.graph, seed);
    const auto expected = reference::run_graph(*partition.graph, inputs);
    for (int repetition = 0; repetition < 2; ++repetition) {  // the second one on the working memory of the first
      std::vector<Value> outputs(2);
      RunState state;
      LayerTimes times;
      if (repetition == 1) state.times = &times;
      program.run(inputs, outputs, state);
      for (std::size_t i = 0; i < 2; ++i) reference::expect_close(outputs[i].tensor, expected[i].tensor, 1e-4);
      if (repetition == 0) continue;
      ASSERT_EQ(times.begin_ns.size(), program.layers().size());
      for (std::size_t i = 0; i < times.begin_ns.size(); ++i) {
        EXPECT_GT(times.begin_ns[i], 0);
        EXPECT_GE(times.end_ns[i], times.begin_ns[i]);
      }
    }
    EXPECT_GT(program.workspace_bytes(), 0u);
    EXPECT_GT(program.weight_bytes(), 0u);
  }
}

TEST(StagedProgram, reports_count_the_work_of_all_groups) {
  const Partition partition = network(6);
  const auto blocked = with_blocked_images(partition, {});
  ASSERT_TRUE(blocked);
  const Machine machine = small_machine();
  const Environment environment{.machine = machine, .threads = 2};
  const auto stages = cut_into_image_stages(blocked->partition, blocked->options, environment);
  ASSERT_TRUE(stages);
  const StagedProgram staged(blocked->partition, *stages, environment, SelectionPolicy{});
  const Program plain(blocked->partition, environment, blocked->options, SelectionPolicy{});
  const auto a = staged.layers(), b = plain.layers();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_DOUBLE_EQ(a[i].executed_flops, b[i].executed_flops);
  }
}

TEST(StagedProgram, output_memory_given_by_the_caller_is_written_in_place) {
  const Partition partition = network(4);
  const auto blocked = with_blocked_images(partition, {});
  ASSERT_TRUE(blocked);
  const Machine machine = small_machine();
  const Environment environment{.machine = machine, .threads = 2};
  const auto stages = cut_into_image_stages(blocked->partition, blocked->options, environment);
  ASSERT_TRUE(stages);
  const StagedProgram program(blocked->partition, *stages, environment, SelectionPolicy{});
  const auto inputs = reference::random_inputs(*partition.graph, 1);
  const auto expected = reference::run_graph(*partition.graph, inputs);
  std::vector<Value> outputs;
  for (const Value& value : expected) outputs.emplace_back(Tensor::allocate(DType::f32, value.tensor.shape()));
  const void* const first = outputs[0].tensor.raw();
  RunState state;
  program.run(inputs, outputs, state);
  EXPECT_EQ(outputs[0].tensor.raw(), first);
  for (std::size_t i = 0; i < 2; ++i) reference::expect_close(outputs[i].tensor, expected[i].tensor, 1e-4);
}

TEST(ImageStages, single_images_small_images_and_plain_layers_are_left_whole) {
  const Machine small = small_machine();
  Machine large = small_machine();
  large.caches = {{2, std::size_t{1} << 30, 1}};
  const auto cut = [](const Partition& partition, const Machine& machine) {
    return cut_into_image_stages(partition, {}, Environment{.machine = machine, .threads = 2});
  };
  const auto single = with_blocked_images(network(1), {});
  const auto batch = with_blocked_images(network(4), {});
  ASSERT_TRUE(single && batch);
  EXPECT_FALSE(cut(single->partition, small));
  EXPECT_FALSE(cut(batch->partition, large));
  EXPECT_TRUE(cut(batch->partition, small));
  EXPECT_FALSE(cut(network(4), small));
}

TEST(ImageStages, fixed_kernels_follow_their_nodes_into_a_group) {
  Partition partition = network(4);
  GraphBuilder named(*partition.graph);
  for (NodeId id = 0; id < named.node_count(); ++id) named.node(id).name = "node" + std::to_string(id);
  partition = whole(std::move(named).build());
  CompileOptions options;
  options.kernels = {{0, "cpu.conv.blocked.f32"}};
  const auto blocked = with_blocked_images(partition, options);
  ASSERT_TRUE(blocked);
  const Machine machine = small_machine();
  const auto stages =
      cut_into_image_stages(blocked->partition, blocked->options, Environment{.machine = machine, .threads = 2});
  ASSERT_TRUE(stages);
  for (const ImageStage& stage : *stages) {
    if (stage.groups == 1) continue;
    ASSERT_EQ(stage.options.kernels.size(), 1u);
    EXPECT_EQ(stage.partition.graph->node(stage.options.kernels.begin()->first).name, "node0");
  }
}

}  // namespace
}  // namespace sparse_run::cpu
