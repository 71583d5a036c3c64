// What every device with memory of its own promises: copies, streams, memory, executables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "graph/passes/sketch.hpp"
#include "tests/device/device_under_test.hpp"

namespace sparse_run {
namespace {

using testing::HasSubstr;

constexpr std::size_t kMemory = std::size_t{64} << 20;

class DeviceContract : public testing::TestWithParam<DeviceUnderTest> {
 protected:
  OpenDevice open_ = GetParam().open(kMemory);
  DeviceMemory& memory_ = *open_.device->memory();

  static Tensor counting(Shape shape, float first = 0) {
    Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
    auto values = tensor.data<float>();
    std::iota(values.begin(), values.end(), first);
    return tensor;
  }
  Tensor on_device(const Tensor& tensor) {
    Tensor copy = memory_.allocate(tensor.dtype(), tensor.shape());
    memory_.copy_in({{tensor, copy}}, {})->wait();
    return copy;
  }
  Tensor on_host(const Tensor& tensor) {
    Tensor copy = Tensor::allocate(tensor.dtype(), tensor.shape());
    memory_.copy_out({{tensor, copy}}, {})->wait();
    return copy;
  }
  /// All nodes of a graph as one partition.
  static Partition whole(const std::shared_ptr<const Graph>& graph) {
    Partition partition{graph, {}, {}, {}};
    for (NodeId id = 0; id < graph->nodes().size(); ++id) partition.nodes.push_back(id);
    partition.inputs.assign(graph->inputs().begin(), graph->inputs().end());
    partition.outputs.assign(graph->outputs().begin(), graph->outputs().end());
    return partition;
  }
  /// y = x · w + x · w, on [rows, 24], with types as resolve() leaves them.
  static std::shared_ptr<const Graph> products(std::int64_t rows) {
    GraphSketch sketch;
    const ValueId x = sketch.input("x", {rows, 24});
    Tensor weights = Tensor::allocate(DType::f32, {24, 24});
    auto values = weights.data<float>();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((i * 7) % 5) - 2;
    const ValueId product = sketch.op("MatMul", {x, sketch.constant(weights)});
    const ValueId sum = sketch.op("Add", {product, product});
    for (const ValueId id : {product, sum}) sketch.builder().value(id).type = Type::tensor(DType::f32, Shape{rows, 24});
    return std::make_shared<const Graph>(sketch.build(sum));
  }
  Tensor expected_of(const std::shared_ptr<const Graph>& graph, const Tensor& input) {
    const auto executable = open_.cpu->compile(whole(graph), {1});
    const std::vector<Value> inputs{input};
    std::vector<Value> outputs(1);
    RunState state;
    executable->run(inputs, outputs, state);
    return outputs[0].tensor;
  }
};

TEST_P(DeviceContract, copies_come_back_unchanged) {
  for (const Shape& shape : {Shape{1}, Shape{3, 5, 7}, Shape{}, Shape{0, 4}, Shape{1000, 257}}) {
    const Tensor sent = counting(shape, 1);
    EXPECT_EQ(divergence(std::vector<Value>{on_host(on_device(sent))}, std::vector<Value>{sent}), 0);
  }
}

TEST_P(DeviceContract, tensors_of_one_copy_travel_together) {
  std::vector<TensorCopy> in;
  std::vector<TensorCopy> out;
  for (int i = 0; i < 5; ++i) {
    const Tensor device = memory_.allocate(DType::f32, {3, i});
    in.push_back({counting({3, i}, static_cast<float>(100 * i)), device});
    out.push_back({device, Tensor::allocate(DType::f32, {3, i})});
  }
  const EventPtr arrived = memory_.copy_in(in, {});
  memory_.copy_out(out, {arrived})->wait();
  for (std::size_t i = 0; i < in.size(); ++i) {
    EXPECT_EQ(divergence(std::vector<Value>{out[i].to}, std::vector<Value>{in[i].from}), 0);
  }
}

TEST_P(DeviceContract, memory_is_counted_and_comes_back) {
  const std::size_t before = memory_.used_bytes();
  {
    const Tensor first = memory_.allocate(DType::f32, {1000});
    EXPECT_GE(memory_.used_bytes(), before + 4000);
    const Tensor second = memory_.allocate(DType::u8, {1});
    EXPECT_NE(first.raw(), second.raw());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second.raw()) % 64, 0u);
  }
  EXPECT_EQ(memory_.used_bytes(), before);
}

TEST_P(DeviceContract, exhausted_memory_is_a_device_error_and_passes) {
  const auto bytes = static_cast<std::int64_t>(kMemory);
  std::vector<Tensor> held;
  for (int i = 0; i < 3; ++i) held.push_back(memory_.allocate(DType::u8, {bytes / 4}));
  try {
    memory_.allocate(DType::u8, {bytes / 2});
    FAIL() << "more than there is was given out";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.what(), HasSubstr("out of memory"));
    EXPECT_THAT(error.what(), HasSubstr(open_.device->name()));
  }
  held.clear();
  EXPECT_NO_THROW(memory_.allocate(DType::u8, {bytes / 2}));
}

TEST_P(DeviceContract, freed_ranges_join_again) {
  const auto bytes = static_cast<std::int64_t>(kMemory);
  for (int round = 0; round < 3; ++round) {
    std::vector<Tensor> pieces;
    for (int i = 0; i < 64; ++i) pieces.push_back(memory_.allocate(DType::u8, {bytes / 128}));
    for (std::size_t i = 0; i < pieces.size(); i += 2) pieces[i] = Tensor();
    for (std::size_t i = 1; i < pieces.size(); i += 2) pieces[i] = Tensor();
    EXPECT_NO_THROW(memory_.allocate(DType::u8, {bytes - bytes / 16}));
  }
}

TEST_P(DeviceContract, an_executable_computes_what_the_cpu_computes) {
  for (const std::int64_t rows : {1, 3, 17}) {
    const auto graph = products(rows);
    const auto executable = open_.device->compile(whole(graph), {2});
    const Tensor input = counting({rows, 24}, -5);
    const Tensor output = memory_.allocate(DType::f32, {rows, 24});
    RunState state;
    executable->submit({on_device(input)}, {output}, state, {})->wait();
    EXPECT_LE(divergence(std::vector<Value>{on_host(output)}, std::vector<Value>{expected_of(graph, input)}), 1e-5);
  }
}

TEST_P(DeviceContract, streams_wait_for_events_of_each_other) {
  const auto graph = products(9);
  const auto executable = open_.device->compile(whole(graph), {1});
  const Tensor input = counting({9, 24});
  const Tensor device_input = memory_.allocate(DType::f32, {9, 24});
  const Tensor device_output = memory_.allocate(DType::f32, {9, 24});
  const Tensor output = Tensor::allocate(DType::f32, {9, 24});
  RunState state;
  const EventPtr arrived = memory_.copy_in({{input, device_input}}, {});
  const EventPtr computed = executable->submit({device_input}, {device_output}, state, {arrived});
  const EventPtr returned = memory_.copy_out({{device_output, output}}, {computed});
  returned->wait();
  EXPECT_LE(arrived->end_ns(), computed->begin_ns());
  EXPECT_LE(computed->end_ns(), returned->begin_ns());
  EXPECT_LE(divergence(std::vector<Value>{output}, std::vector<Value>{expected_of(graph, input)}), 1e-5);
}

TEST_P(DeviceContract, several_executions_may_be_in_flight) {
  const auto graph = products(5);
  const auto executable = open_.device->compile(whole(graph), {1});
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const Tensor input = counting({5, 24}, static_cast<float>(t * 100 + i));
        const Tensor output = memory_.allocate(DType::f32, {5, 24});
        RunState state;
        executable->submit({on_device(input)}, {output}, state, {})->wait();
        if (divergence(std::vector<Value>{on_host(output)}, std::vector<Value>{expected_of(graph, input)}) > 1e-5)
          ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(DeviceContract, times_of_layers_are_taken) {
  const auto graph = products(5);
  const auto executable = open_.device->compile(whole(graph), {1});
  RunState state;
  LayerTimes times;
  state.times = &times;
  executable->submit({on_device(counting({5, 24}))}, {memory_.allocate(DType::f32, {5, 24})}, state, {})->wait();
  ASSERT_EQ(times.begin_ns.size(), executable->layers().size());
  for (std::size_t i = 0; i < times.begin_ns.size(); ++i) EXPECT_LE(times.begin_ns[i], times.end_ns[i]);
  for (const LayerReport& layer : executable->layers()) EXPECT_EQ(layer.device, open_.device->name());
}

TEST_P(DeviceContract, executables_hold_their_memory_until_they_go) {
  const std::size_t before = memory_.used_bytes();
  auto executable = open_.device->compile(whole(products(5)), {1});
  EXPECT_EQ(memory_.used_bytes(), before + executable->weight_bytes() + executable->workspace_bytes());
  executable.reset();
  EXPECT_EQ(memory_.used_bytes(), before);
}

TEST_P(DeviceContract, what_is_enqueued_is_done_before_the_device_goes) {
  const Tensor sent = counting({50000});
  const Tensor received = Tensor::allocate(DType::f32, {50000});
  EventPtr last;
  {
    OpenDevice other = GetParam().open(kMemory);
    const Tensor there = other.device->memory()->allocate(DType::f32, {50000});
    last = other.device->memory()->copy_in({{sent, there}}, {});
    last = other.device->memory()->copy_out({{there, received}}, {last});
    other = OpenDevice();  // the tensor is still there
  }
  EXPECT_TRUE(last->ready());
  EXPECT_EQ(divergence(std::vector<Value>{received}, std::vector<Value>{sent}), 0);
}

TEST_P(DeviceContract, values_of_unknown_size_and_strings_are_refused_with_a_reason) {
  GraphSketch sketch;
  const ValueId x = sketch.input("x", {4});
  const ValueId words = sketch.input("words", {4}, DType::string);
  const ValueId where = sketch.op("NonZero", {x});
  sketch.builder().value(where).type = Type::tensor(DType::i64, Shape{1, -1});
  const ValueId same = sketch.op("Identity", {words});
  sketch.builder().value(same).type = Type::tensor(DType::string, Shape{4});
  sketch.output(where);
  const Graph graph = sketch.build(same);
  for (const Node& node : graph.nodes()) {
    EXPECT_THAT(open_.device->refusal(graph, node),
                HasSubstr(node.op == "NonZero" ? "depends on data" : "holds strings"));
    EXPECT_EQ(open_.cpu->refusal(graph, node), "");
  }
}

TEST_P(DeviceContract, a_node_it_can_run_is_not_refused) {
  const auto graph = products(2);
  for (const Node& node : graph->nodes()) EXPECT_EQ(open_.device->refusal(*graph, node), "");
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceContract, devices_under_test(),
                         [](const auto& entry) { return entry.param.name; });

}  // namespace
}  // namespace sparse_run
