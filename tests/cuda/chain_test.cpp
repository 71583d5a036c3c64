// Chains of elementwise operators: what is joined, and that the generated kernels compute it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gpu/cuda/kernel_image.hpp"
#include "gpu/cuda/steps/chain.hpp"
#include "graph/passes/sketch.hpp"
#include "tests/cuda/node_trial.hpp"

namespace sparse_run::gpu::cuda {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

const Shape kShape{2, 5, 7};

/// y = clip(tanh(x · scale) + row, -0.5, 0.5) - x, and its inputs.
std::shared_ptr<const Graph> five_functions() {
  GraphSketch sketch;
  const ValueId x = sketch.input("x", kShape);
  const ValueId row = sketch.input("row", {5, 1});
  const ValueId scaled = sketch.op("Mul", {x, sketch.number(1.5f)});
  const ValueId curved = sketch.op("Tanh", {scaled});
  const ValueId moved = sketch.op("Add", {row, curved});
  const ValueId cut = sketch.op("Clip", {moved, sketch.number(-0.5f), sketch.number(0.5f)});
  const ValueId rest = sketch.op("Sub", {cut, x});
  for (const ValueId id : {scaled, curved, moved, cut, rest}) {
    sketch.builder().value(id).type = Type::tensor(DType::f32, kShape);
  }
  return std::make_shared<const Graph>(sketch.build(rest));
}

std::vector<Chain> chains_of(const Graph& graph) {
  std::vector<NodeId> nodes;
  for (NodeId id = 0; id < graph.nodes().size(); ++id) nodes.push_back(id);
  return find_chains(graph, nodes, [&](ValueId id) { return graph.is_output(id); });
}

TEST(Chains, follow_single_readers) {
  const auto graph = five_functions();
  const auto chains = chains_of(*graph);
  ASSERT_THAT(chains, SizeIs(1));
  EXPECT_THAT(chains[0].nodes, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(chains[0].operands, SizeIs(3));  // x once, the factor, the row
}

TEST(Chains, end_where_a_result_is_read_twice_or_leaves) {
  GraphSketch sketch;
  const ValueId x = sketch.input("x", kShape);
  const ValueId a = sketch.op("Relu", {x});
  const ValueId b = sketch.op("Tanh", {a});
  const ValueId c = sketch.op("Sigmoid", {b});
  const ValueId d = sketch.op("Add", {c, b});
  for (const ValueId id : {a, b, c, d}) sketch.builder().value(id).type = Type::tensor(DType::f32, kShape);
  sketch.output(c);
  const Graph graph = sketch.build(d);
  const auto chains = chains_of(graph);
  ASSERT_THAT(chains, SizeIs(1));
  EXPECT_THAT(chains[0].nodes, ElementsAre(0, 1));
}

TEST(Chains, end_where_shapes_grow) {
  GraphSketch sketch;
  const ValueId x = sketch.input("x", {7});
  const ValueId a = sketch.op("Relu", {x});
  const ValueId b = sketch.op("Add", {a, sketch.input("y", kShape)});
  sketch.builder().value(a).type = Type::tensor(DType::f32, Shape{7});
  sketch.builder().value(b).type = Type::tensor(DType::f32, kShape);
  EXPECT_THAT(chains_of(sketch.build(b)), SizeIs(0));
}

TEST(Chains, compute_what_the_operators_compute_one_by_one) {
  const auto graph = five_functions();
  std::mt19937_64 random(7);
  const std::vector<Tensor> inputs{random_tensor(random, kShape), random_tensor(random, {5, 1})};
  const auto single = host_device();
  const auto chained = host_device({.generated = true});
  const auto expected = run_graph(*single, graph, inputs);
  const auto outcome = run_graph(*chained, graph, inputs);
  EXPECT_EQ(outcome.kernel, "gpu.chain.f32");
  EXPECT_LE(divergence(outcome.results[0], expected.results[0]), 1e-6) << "seed 7";
}

TEST(Chains, equal_sources_are_compiled_once) {
  const auto gpu = Gpu::open(host_cuda::host_libraries(), host_cuda::add_host_gpu(), {});
  const auto graph = five_functions();
  const std::string source = chain_source(*graph, chains_of(*graph)[0]);
  EXPECT_EQ(gpu->generated(source, "chain"), gpu->generated(source, "chain"));
}

TEST(Chains, an_error_of_the_compiler_comes_with_its_log) {
  const auto gpu = Gpu::open(host_cuda::host_libraries(), host_cuda::add_host_gpu(), {});
  try {
    gpu->generated("struct ChainOperands {}; void chain(ChainOperands) { no_such_function(); }", "chain");
    FAIL() << "nonsense was compiled";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.what(), HasSubstr("no_such_function"));
  }
}

// Needs NVRTC, not a GPU.
TEST(Chains, are_accepted_by_nvrtc_itself) {
  const Loaded<Nvrtc> nvrtc = load_nvrtc();
  if (!nvrtc.table) GTEST_SKIP() << nvrtc.absence;
  const auto graph = five_functions();
  const std::string source = chain_source(*graph, chains_of(*graph)[0]);
  const char* header = scalar_math_source();
  const char* name = "scalar_math.hpp";
  for (const char* architecture : {"--gpu-architecture=sm_80", "--gpu-architecture=sm_90"}) {
    RtcProgram program = nullptr;
    ASSERT_EQ(nvrtc.table->create(&program, source.c_str(), "chain.cu", 1, &header, &name), 0);
    const char* options[] = {architecture, "--std=c++17", "--fmad=true"};
    const int code = nvrtc.table->compile(program, 3, options);
    std::size_t bytes = 0;
    ASSERT_EQ(nvrtc.table->log_bytes(program, &bytes), 0);
    std::string log(bytes, '\0');
    nvrtc.table->log(program, log.data());
    EXPECT_EQ(code, 0) << log << source;
    EXPECT_EQ(nvrtc.table->binary_bytes(program, &bytes), 0);
    EXPECT_GT(bytes, 0u);
    nvrtc.table->destroy(&program);
  }
}

}  // namespace
}  // namespace sparse_run::gpu::cuda
