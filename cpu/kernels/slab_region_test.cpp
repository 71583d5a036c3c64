// Networks of few images that run in slabs give what the same networks give layer by layer.
#include "cpu/kernels/slab_region.hpp"

#include <gtest/gtest.h>

#include "cpu/kernels/random_network_test.hpp"
#include "cpu/reference/evaluator.hpp"
#include "graph/passes/pipeline.hpp"

namespace sparse_run::cpu {
namespace {

TEST(SlabRegion, random_networks_give_what_layers_give) {
  std::mt19937 random = seeded_random();
  std::size_t in_slabs = 0;
  constexpr std::size_t kNetworks = 60;
  for (std::size_t i = 0; i < kNetworks; ++i) {
    SCOPED_TRACE(i);
    RandomNetwork network(random, static_cast<std::int64_t>(pick(random, {1, 1, 2, 3})));
    const Graph plain = network.build();
    const std::vector<Type> types{Type::tensor(DType::f32, network.input_shape())};
    reference::ReferenceEvaluator evaluator;
    const auto graph = std::make_shared<const Graph>(specialize(plain, types, evaluator));
    const Tensor input = Tensor::of<float>(
        network.input_shape(), random_floats(random, static_cast<std::size_t>(element_count(network.input_shape()))));
    const Outcome expected = run_network(graph, input, ColumnMode::layers, 1);
    EXPECT_FALSE(expected.in_slabs);
    for (const int threads : {2, 3, 5}) {
      const Outcome slabs = run_network(graph, input, ColumnMode::automatic, threads);
      in_slabs += slabs.in_slabs ? 1 : 0;
      for (std::size_t o = 0; o < expected.outputs.size(); ++o) {
        EXPECT_LE(distance(slabs.outputs[o], expected.outputs[o]), 1.0) << threads << " threads";
      }
    }
  }
  EXPECT_GE(in_slabs, kNetworks / 4);
}

}  // namespace
}  // namespace sparse_run::cpu
