// Graphs on blocked images against the reference kernels, and where blocked images are used.
#include "cpu/blocked_graph.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <numeric>

#include "cpu/device.hpp"
#include "cpu/reference/pass_check.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::cpu {
namespace {

using reference::random_inputs;
using reference::random_tensor;
using testing::Contains;
using testing::Each;
using testing::Not;

using Attributes = GraphSketch::Attributes;
using Ints = std::vector<std::int64_t>;

Partition whole(Graph graph) {
  Partition partition;
  partition.graph = std::make_shared<const Graph>(std::move(graph));
  partition.nodes.resize(partition.graph->nodes().size());
  std::iota(partition.nodes.begin(), partition.nodes.end(), NodeId{0});
  partition.inputs.assign(partition.graph->inputs().begin(), partition.graph->inputs().end());
  partition.outputs.assign(partition.graph->outputs().begin(), partition.graph->outputs().end());
  return partition;
}

/// Types of all values, as the compiler would have resolved them.
Graph typed(GraphSketch& sketch) {
  reference::ReferenceEvaluator evaluator;
  return fold_constants(sketch.build(), evaluator);
}

std::vector<std::string> kernels_of(const Executable& executable) {
  std::vector<std::string> kernels;
  for (const LayerReport& layer : executable.layers()) kernels.push_back(layer.kernel);
  return kernels;
}

std::vector<std::string> run_both(Graph graph, double tolerance = 1e-4) {
  const Partition partition = whole(std::move(graph));
  Machine machine;
  CompileOptions options;
  options.threads = 2;
  const auto executable = make_cpu_device(machine)->compile(partition, options);
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  const auto inputs = random_inputs(*partition.graph, seed);
  std::vector<Value> outputs(partition.outputs.size());
  RunState state;
  executable->run(inputs, outputs, state);
  const auto expected = reference::run_graph(*partition.graph, inputs);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE(partition.graph->value(partition.outputs[i]).name);
    reference::expect_close(outputs[i].tensor, expected[i].tensor, tolerance);
  }
  return kernels_of(*executable);
}

Tensor random_weights(Shape shape, unsigned seed, float scale = 0.3f) {
  std::mt19937 random(seed);
  Tensor tensor = random_tensor(Type::tensor(DType::f32, std::move(shape)), random);
  for (float& value : tensor.data<float>()) value *= scale;
  return tensor;
}

TEST(BlockedGraph, a_chain_stays_blocked_from_the_first_convolution_to_the_global_pooling) {
  GraphSketch g;
  const auto x = g.input("x", {2, 3, 33, 37});
  auto y = g.op("Conv", {x, g.constant(random_weights({32, 3, 3, 3}, 1)), g.constant(random_weights({32}, 2))},
                {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
  y = g.op("Relu", {y});
  y = g.op("MaxPool", {y}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
  const auto shortcut = y;
  y = g.op("Conv", {y, g.constant(random_weights({32, 1, 3, 3}, 3))},
           {{"group", std::int64_t{32}}, {"pads", Ints{1, 1, 1, 1}}});
  y = g.op("Conv", {y, g.constant(random_weights({32, 32, 1, 1}, 4))});
  y = g.op("Add", {y, shortcut});
  const auto wide = g.op("Conv", {y, g.constant(random_weights({48, 32, 3, 3}, 5))}, {{"pads", Ints{1, 1, 1, 1}}});
  y = g.op("Concat", {y, wide}, {{"axis", std::int64_t{1}}});
  g.output(g.op("GlobalAveragePool", {y}));
  const auto kernels = run_both(typed(g));
  EXPECT_THAT(kernels, Contains("cpu.conv.blocked.f32"));
  EXPECT_THAT(kernels, Not(Contains("cpu.layout.to_blocked.f32")));
  EXPECT_THAT(kernels, Not(Contains("cpu.layout.from_blocked.f32")));
  EXPECT_THAT(kernels, Not(Contains("cpu.conv.column.f32")));
}

TEST(BlockedGraph, values_that_others_read_are_brought_back_to_planes) {
  GraphSketch g;
  const auto x = g.input("x", {1, 64, 7, 7});
  const auto a = g.op("Conv", {x, g.constant(random_weights({64, 64, 3, 3}, 1, 0.1f))}, {{"pads", Ints{1, 1, 1, 1}}});
  const auto b = g.op("Conv", {a, g.constant(random_weights({64, 64, 3, 3}, 2, 0.1f))}, {{"pads", Ints{1, 1, 1, 1}}});
  g.output(b);
  g.output(g.op("ReduceMax", {a}));
  g.output(a);
  const auto kernels = run_both(typed(g));
  EXPECT_THAT(kernels, Contains("cpu.conv.blocked.f32"));
  EXPECT_EQ(std::count(kernels.begin(), kernels.end(), "cpu.layout.from_blocked.f32"), 2);
}

TEST(BlockedGraph, channels_that_fill_no_block_are_padded) {
  GraphSketch g;
  const auto x = g.input("x", {1, 3, 20, 20});
  auto y = g.op("Conv", {x, g.constant(random_weights({30, 3, 5, 5}, 1))}, {{"pads", Ints{2, 2, 2, 2}}});
  y = g.op("Sigmoid", {y});
  y = g.op("Conv", {y, g.constant(random_weights({45, 30, 3, 3}, 2))}, {{"dilations", Ints{2, 2}}});
  g.output(g.op("GlobalAveragePool", {y}));
  const auto kernels = run_both(typed(g));
  EXPECT_THAT(kernels, Contains("cpu.conv.blocked.f32"));
}

TEST(BlockedGraph, convolutions_with_mostly_zeros_stay_on_planes) {
  GraphSketch g;
  const auto x = g.input("x", {1, 64, 14, 14});
  Tensor weights = random_weights({64, 64, 3, 3}, 1);
  auto values = weights.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % 20 != 0) values[i] = 0;
  }
  g.output(g.op("Conv", {x, g.constant(std::move(weights))}, {{"pads", Ints{1, 1, 1, 1}}}));
  EXPECT_FALSE(with_blocked_images(whole(typed(g)), {}));
}

TEST(BlockedGraph, a_lone_small_convolution_is_not_worth_the_reordering) {
  GraphSketch g;
  const auto x = g.input("x", {1, 16, 56, 56});
  g.output(g.op("Conv", {x, g.constant(random_weights({16, 16, 1, 1}, 1))}));
  EXPECT_FALSE(with_blocked_images(whole(typed(g)), {}));
}

TEST(BlockedGraph, grouped_and_one_dimensional_convolutions_stay_on_planes) {
  GraphSketch g;
  const auto x = g.input("x", {1, 64, 14, 14});
  const auto line = g.input("line", {1, 64, 100});
  g.output(g.op("Conv", {x, g.constant(random_weights({64, 16, 3, 3}, 1))}, {{"group", std::int64_t{4}}}));
  g.output(g.op("Conv", {line, g.constant(random_weights({64, 64, 3}, 2))}));
  EXPECT_THAT(run_both(typed(g)), Each(Not(testing::HasSubstr("blocked"))));
}

TEST(BlockedGraph, inputs_and_outputs_keep_order_names_and_types) {
  GraphSketch g;
  const auto unused = g.input("unused", {3});
  const auto x = g.input("x", {1, 3, 56, 56});
  auto y = g.op("Conv", {x, g.constant(random_weights({64, 3, 7, 7}, 1))}, {{"strides", Ints{2, 2}}});
  g.output(g.op("GlobalAveragePool", {y}));
  g.output(unused);
  const Partition before = whole(typed(g));
  const auto after = with_blocked_images(before, {});
  ASSERT_TRUE(after);
  ASSERT_EQ(after->partition.inputs.size(), 2u);
  ASSERT_EQ(after->partition.outputs.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(after->partition.graph->value(after->partition.inputs[i]).name,
              before.graph->value(before.inputs[i]).name);
    EXPECT_EQ(after->partition.graph->value(after->partition.outputs[i]).type.shape,
              before.graph->value(before.outputs[i]).type.shape);
  }
}

TEST(BlockedGraph, fixed_kernels_decide_and_follow_their_nodes) {
  GraphSketch g;
  const auto x = g.input("x", {1, 16, 56, 56});
  auto y = g.op("Conv", {x, g.constant(random_weights({16, 16, 1, 1}, 1))});
  y = g.op("Conv", {y, g.constant(random_weights({16, 16, 1, 1}, 2))});
  g.output(y);
  Graph graph = typed(g);
  GraphBuilder named(graph);
  named.node(0).name = "first";
  named.node(1).name = "second";
  const Partition partition = whole(std::move(named).build());
  CompileOptions options;
  options.kernels = {{0, "cpu.conv.blocked.f32"}, {1, "cpu.conv.column.f32"}};
  const auto blocked = with_blocked_images(partition, options);
  ASSERT_TRUE(blocked);
  ASSERT_EQ(blocked->options.kernels.size(), 2u);
  for (const auto& [id, kernel] : blocked->options.kernels) {
    const Node& node = blocked->partition.graph->node(id);
    EXPECT_EQ(node.op, kernel == "cpu.conv.blocked.f32" ? "BlockedConv" : "Conv");
  }
}

TEST(BlockedGraph, random_networks_agree_with_the_reference) {
  const unsigned seed = std::random_device{}();
  std::cout << "network seed " << seed << '\n';
  std::mt19937 random(seed);
  for (int round = 0; round < 12; ++round) {
    const auto draw = [&](int low, int high) { return std::uniform_int_distribution<std::int64_t>(low, high)(random); };
    GraphSketch g;
    std::int64_t channels = draw(1, 4);
    const std::int64_t size = draw(20, 40);
    auto y = g.input("x", {draw(1, 3), channels, size, size + draw(0, 5)});
    for (int layer = 0; layer < 5; ++layer) {
      const std::int64_t kernel = draw(1, 3), stride = layer < 3 ? draw(1, 2) : 1, next = draw(8, 70);
      const auto weights =
          g.constant(random_weights({next, channels, kernel, kernel}, static_cast<unsigned>(random()), 0.2f));
      y = g.op("Conv", {y, weights, g.constant(random_weights({next}, static_cast<unsigned>(random())))},
               {{"strides", Ints{stride, stride}}, {"pads", Ints{kernel - 1, kernel / 2, kernel / 2, kernel - 1}}});
      channels = next;
      if (draw(0, 1) == 0) y = g.op("LeakyRelu", {y});
      if (draw(0, 2) == 0) y = g.op("Mul", {y, y});
      if (draw(0, 2) == 0) {
        y = g.op(draw(0, 1) == 0 ? "MaxPool" : "AveragePool", {y},
                 {{"kernel_shape", Ints{2, 3}}, {"pads", Ints{1, 1, 0, 1}}});
      }
      if (draw(0, 3) == 0) g.output(y);
    }
    g.output(g.op("GlobalAveragePool", {y}));
    run_both(typed(g), 5e-4);
  }
}

}  // namespace
}  // namespace sparse_run::cpu
