// Partitions are captured after their first execution, and replayed for addresses that were seen before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/passes/sketch.hpp"
#include "tests/cuda/node_trial.hpp"

namespace sparse_run::gpu::cuda {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

constexpr std::int64_t kLength = 100;

class Replays : public testing::Test {
 protected:
  Replays() {
    GraphSketch sketch;
    const ValueId x = sketch.input("x", {kLength});
    const ValueId a = sketch.op("Relu", {x});
    const ValueId b = sketch.op("Add", {a, x});
    for (const ValueId id : {a, b}) sketch.builder().value(id).type = Type::tensor(DType::f32, Shape{kLength});
    graph_ = std::make_shared<const Graph>(sketch.build(b));
    executable_ = device_->compile({graph_, {0, 1}, {graph_->inputs()[0]}, {graph_->outputs()[0]}}, {});
    in_ = device_->memory()->allocate(DType::f32, {kLength});
    out_ = device_->memory()->allocate(DType::f32, {kLength});
  }

  void run(float value) {
    Tensor host = Tensor::allocate(DType::f32, {kLength});
    for (float& x : host.data<float>()) x = value;
    DeviceMemory& memory = *device_->memory();
    RunState state;
    const EventPtr arrived = memory.copy_in({{host, in_}}, {});
    const EventPtr computed = executable_->submit({in_}, {out_}, state, {arrived});
    memory.copy_out({{out_, host}}, {computed})->wait();
    for (const float y : host.data<float>()) ASSERT_EQ(y, value + std::max(value, 0.0f));
  }

  int index_ = host_cuda::add_host_gpu();
  std::shared_ptr<Device> device_ =
      open_cuda_device(host_cuda::host_libraries(), index_, {.graphs = true, .generated = false});
  std::shared_ptr<const Graph> graph_;
  std::unique_ptr<Executable> executable_;
  Tensor in_;
  Tensor out_;
};

TEST_F(Replays, the_first_execution_is_not_captured) {
  run(1);
  EXPECT_EQ(host_cuda::launched_graphs(index_), 0u);
  EXPECT_EQ(host_cuda::launched_kernels(index_), 2u);
}

TEST_F(Replays, later_ones_compute_with_new_values) {
  for (int i = 0; i < 5; ++i) run(static_cast<float>(i) - 2);
  EXPECT_EQ(host_cuda::launched_graphs(index_), 4u);
  EXPECT_EQ(host_cuda::launched_kernels(index_), 10u);
}

TEST_F(Replays, other_addresses_are_captured_anew) {
  std::vector<Tensor> kept;
  for (int i = 0; i < 30; ++i) {
    run(static_cast<float>(i));
    kept.push_back(out_);
    out_ = device_->memory()->allocate(DType::f32, {kLength});
  }
  out_ = kept.front();
  run(5);
  EXPECT_EQ(host_cuda::launched_graphs(index_), 30u);
}

TEST_F(Replays, times_of_layers_are_taken_without_capturing) {
  run(1);
  RunState state;
  LayerTimes times;
  state.times = &times;
  executable_->submit({in_}, {out_}, state, {})->wait();
  EXPECT_EQ(times.begin_ns.size(), 2u);
  EXPECT_EQ(host_cuda::launched_graphs(index_), 0u);
}

/// Devices whose driver cannot make graphs, and what they have told of it.
class Uncapturable : public Replays {
 protected:
  void open(const Libraries& libraries) {
    GpuOptions options{.generated = false};
    options.notice = [this](const std::string& text) { told_.push_back(text); };
    options.remark = [this](const std::string&, const std::vector<std::string>& texts) { remarks_ = texts; };
    device_ = open_cuda_device(libraries, index_, options);
    executable_ = device_->compile({graph_, {0, 1}, {graph_->inputs()[0]}, {graph_->outputs()[0]}}, {});
    in_ = device_->memory()->allocate(DType::f32, {kLength});
    out_ = device_->memory()->allocate(DType::f32, {kLength});
  }
  std::vector<std::string> remarks() {
    RunState state;
    LayerTimes times;
    state.times = &times;
    executable_->submit({in_}, {out_}, state, {})->wait();
    return remarks_;
  }
  std::vector<std::string> told_;
  std::vector<std::string> remarks_;
};

TEST_F(Uncapturable, partitions_are_computed_and_the_reason_is_told_once) {
  Libraries libraries = host_cuda::host_libraries();
  libraries.driver.graph_instantiate = [](GraphExecHandle*, GraphHandle, unsigned long long) {
    return status::kOutOfMemory;
  };
  open(libraries);
  for (int i = 0; i < 4; ++i) run(static_cast<float>(i));
  EXPECT_EQ(host_cuda::launched_graphs(index_), 0u);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0], AllOf(HasSubstr("not replayed as a CUDA graph"), HasSubstr("Relu"),
                              HasSubstr("CUDA_ERROR_OUT_OF_MEMORY")));
  EXPECT_THAT(remarks(), Contains(HasSubstr("its graph cannot be made executable")));
}

TEST_F(Uncapturable, a_step_that_refuses_to_be_captured_is_named) {
  Libraries libraries = host_cuda::host_libraries();
  libraries.driver.capture_end = [](StreamHandle stream, GraphHandle* graph) {
    const int code = host_cuda::host_libraries().driver.capture_end(stream, graph);
    if (code == status::kSuccess) host_cuda::host_libraries().driver.graph_destroy(*graph);
    return status::kUnknown;
  };
  open(libraries);
  EXPECT_TRUE(remarks().empty());
  for (int i = 0; i < 3; ++i) run(static_cast<float>(i));
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0], HasSubstr("capturing it failed: CUDA_ERROR_UNKNOWN"));
}

}  // namespace
}  // namespace sparse_run::gpu::cuda
