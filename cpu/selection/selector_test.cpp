// How kernels are chosen: by estimate, by timing, from memory, by pin.
#include "cpu/selection/selector.hpp"

#include <gmock/gmock.h>
#include <tbb/parallel_for.h>

#include <fstream>

#include "cpu/column/column_test_support.hpp"
#include "cpu/selection/compile_one_test.hpp"
#include "cpu/selection/fingerprint.hpp"
#include "cpu/selection/temporary_folder_test.hpp"

namespace sparse_run::cpu {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

/// Two equal layers and one of another width, 90% zeros: long enough to be worth timing.
Graph three_layers(double zeros = 0.9) {
  std::mt19937 random(3);
  const auto weights = [&](std::int64_t k, std::int64_t n) {
    Tensor tensor = Tensor::allocate(DType::f32, {k, n});
    const auto values = random_floats(random, static_cast<std::size_t>(k * n), zeros);
    std::copy(values.begin(), values.end(), tensor.data<float>().begin());
    return tensor;
  };
  GraphSketch s;
  ValueId x = s.input("x", {64, 256});
  x = s.op("MatMul", {x, s.constant(weights(256, 256))});
  x = s.op("MatMul", {x, s.constant(weights(256, 256))});
  return reference::resolved(s.build(s.op("MatMul", {x, s.constant(weights(256, 300))})));
}

CpuOptions timing_in(const std::filesystem::path& folder) { return {5.0, folder}; }

std::vector<std::string> choices(const Executable& executable) {
  std::vector<std::string> all;
  for (const LayerReport& layer : executable.layers()) all.push_back(layer.choice);
  return all;
}

TEST(Selector, equal_layers_are_timed_once) {
  const auto device = make_cpu_device(discover_machine(), timing_in({}));
  const auto executable = compile_whole(three_layers(), *device);
  EXPECT_THAT(choices(*executable), testing::ElementsAre("timed", "timed before", "timed"));
  for (const LayerReport& layer : executable->layers()) {
    ASSERT_THAT(layer.candidates, Not(IsEmpty()));
    EXPECT_EQ(layer.candidates.front().kernel, layer.kernel);
    EXPECT_TRUE(layer.candidates.front().timed);
    for (const KernelCandidate& candidate : layer.candidates) {
      // another variant of the same kernel may be faster by less than what trials differ
      EXPECT_TRUE(!candidate.timed || 0.96 * layer.candidates.front().seconds <= candidate.seconds);
    }
    EXPECT_GE(layer.sparse_from, 0);
    EXPECT_LE(layer.sparse_from, 1);
  }
  EXPECT_EQ(executable->layers()[0].kernel, executable->layers()[1].kernel);
}

TEST(Selector, without_a_budget_estimates_decide_and_nothing_is_written) {
  const TemporaryFolder folder;
  const auto device = make_cpu_device(discover_machine(), {0, folder.path()});
  const auto executable = compile_whole(three_layers(), *device);
  EXPECT_THAT(choices(*executable), testing::Each("estimated"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Selector, estimates_prefer_sparse_kernels_for_many_zeros_and_dense_ones_for_few) {
  const auto device = make_cpu_device(discover_machine());
  EXPECT_THAT(compile_whole(three_layers(0.95), *device)->layers()[0].kernel, HasSubstr("sparse"));
  EXPECT_THAT(compile_whole(three_layers(0.45), *device)->layers()[0].kernel, Not(HasSubstr("sparse")));
  const LayerReport dense = compile_whole(three_layers(0.1), *device)->layers()[0];
  EXPECT_THAT(dense.refusals, HasSubstr("10% zeros"));
}

TEST(Selector, flops_count_what_non_zeros_need_and_what_the_kernel_does) {
  const auto device = make_cpu_device(discover_machine());
  const Graph graph = three_layers(0.5);
  const LayerReport dense = compile_whole(graph, *device, {{0, "cpu.matmul.onednn.f32"}})->layers()[0];
  const LayerReport sparse = compile_whole(graph, *device, {{0, "cpu.matmul.sparse_column.f32"}})->layers()[0];
  EXPECT_DOUBLE_EQ(dense.executed_flops, 2.0 * 64 * 256 * 256);
  EXPECT_NEAR(dense.flops, 0.5 * dense.executed_flops, 0.02 * dense.executed_flops);
  EXPECT_DOUBLE_EQ(sparse.flops, sparse.executed_flops);
  EXPECT_NEAR(sparse.flops, dense.flops, 1);
}

TEST(Selector, a_second_process_finds_what_the_first_timed) {
  const TemporaryFolder folder;
  const auto first = compile_whole(three_layers(), *make_cpu_device(discover_machine(), timing_in(folder.path())));
  const auto second = compile_whole(three_layers(), *make_cpu_device(discover_machine(), timing_in(folder.path())));
  EXPECT_THAT(choices(*second), testing::Each("timed before"));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(second->layers()[i].kernel, first->layers()[i].kernel);
}

TEST(Selector, a_pin_overrules_timing_with_or_without_its_variant) {
  const auto device = make_cpu_device(discover_machine(), timing_in({}));
  const Graph graph = three_layers();
  const auto layers = compile_whole(graph, *device, {{0, "cpu.matmul.onednn.f32"}, {2, "cpu.reference"}})->layers();
  EXPECT_EQ(layers[0].kernel, "cpu.matmul.onednn.f32");
  EXPECT_EQ(layers[0].choice, "pinned");
  EXPECT_EQ(layers[2].kernel, "cpu.reference");
  const auto variant = compile_whole(graph, *device, {{0, "cpu.matmul.sparse_column.f32"}})->layers()[0].kernel;
  EXPECT_THAT(variant, StartsWith("cpu.matmul.sparse_column.f32@"));
  EXPECT_EQ(compile_whole(graph, *device, {{0, variant}})->layers()[0].kernel, variant);
}

TEST(Selector, a_pin_that_cannot_be_is_refused_by_name_and_reason) {
  const auto device = make_cpu_device(discover_machine());
  const auto complaint = [&](std::string kernel) {
    try {
      compile_whole(three_layers(0.1), *device, {{0, std::move(kernel)}});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(complaint("cpu.matmul.abacus"), HasSubstr("there are cpu.reference"));
  EXPECT_THAT(complaint("cpu.matmul.sparse_column.f32"), HasSubstr("10% zeros"));
  EXPECT_THAT(complaint("cpu.matmul.onednn.f32@9x9"), HasSubstr("9x9"));
}

TEST(Selector, compilations_in_several_threads_of_one_arena_do_not_wait_for_each_other_forever) {
  const TemporaryFolder folder;
  const auto device = make_cpu_device(discover_machine(), timing_in(folder.path()));
  const Graph graph = three_layers();
  std::vector<std::vector<LayerReport>> layers(6);
  tbb::task_arena arena(3);
  arena.execute([&] {
    tbb::parallel_for(std::size_t{0}, layers.size(),
                      [&](std::size_t i) { layers[i] = compile_whole(graph, *device)->layers(); });
  });
  for (const auto& one : layers) EXPECT_THAT(one, SizeIs(3));
}

TEST(Selector, values_read_after_relu_are_tried_with_zeros) {
  GraphSketch s;
  const ValueId x = s.op("Relu", {s.input("x", {2, 8})});
  const Graph graph = reference::resolved(
      s.build(s.op("MatMul", {x, s.constant(Tensor::of<float>({8, 1}, std::vector<float>(8, 1)))})));
  EXPECT_TRUE(is_rectified(NodeView(graph, graph.node(1)), 0));
  EXPECT_FALSE(is_rectified(NodeView(graph, graph.node(0)), 0));
}

}  // namespace
}  // namespace sparse_run::cpu
