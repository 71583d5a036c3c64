// Networks that run in columns give what the same networks give layer by layer.
#include "cpu/kernels/column_region.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cpu/kernels/random_network_test.hpp"
#include "cpu/reference/evaluator.hpp"
#include "graph/passes/pipeline.hpp"

namespace sparse_run::cpu {
namespace {

TEST(ColumnRegion, random_networks_give_what_layers_give) {
  std::mt19937 random = seeded_random();
  std::size_t in_columns = 0;
  constexpr std::size_t kNetworks = 60;
  for (std::size_t i = 0; i < kNetworks; ++i) {
    SCOPED_TRACE(i);
    const auto images = static_cast<std::int64_t>(pick(random, {8, 15, 16, 17, 31}));
    RandomNetwork network(random, images);
    const Graph plain = network.build();
    const std::vector<Type> types{Type::tensor(DType::f32, network.input_shape())};
    reference::ReferenceEvaluator evaluator;
    const auto graph = std::make_shared<const Graph>(specialize(plain, types, evaluator));
    const Tensor input = Tensor::of<float>(
        network.input_shape(), random_floats(random, static_cast<std::size_t>(element_count(network.input_shape()))));
    const Outcome expected = run_network(graph, input, ColumnMode::off, 2);
    const Outcome layers = run_network(graph, input, ColumnMode::layers, 2);
    const Outcome columns = run_network(graph, input, ColumnMode::automatic, 2);
    const Outcome alone = run_network(graph, input, ColumnMode::automatic, 1);
    in_columns += columns.in_columns;
    EXPECT_FALSE(expected.in_columns);
    for (std::size_t o = 0; o < expected.outputs.size(); ++o) {
      EXPECT_LE(distance(columns.outputs[o], expected.outputs[o]), 1.0);
      EXPECT_LE(distance(layers.outputs[o], expected.outputs[o]), 1.0);
      EXPECT_LE(distance(alone.outputs[o], expected.outputs[o]), 1.0);
    }
  }
  EXPECT_GE(in_columns, kNetworks / 10);
}

}  // namespace
}  // namespace sparse_run::cpu
