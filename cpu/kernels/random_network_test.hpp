// Random convolutional networks, compiled for the CPU and run: for tests that compare ways to run them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

#include "cpu/column/column_test_support.hpp"
#include "cpu/device.hpp"
#include "device/machine.hpp"
#include "graph/ir/graph.hpp"

namespace sparse_run::cpu {

/// Grows a random convolutional network: strides, paddings, dilations, groups, branches, odd sizes.
class RandomNetwork {
 public:
  RandomNetwork(std::mt19937& random, std::int64_t images) : random_(random), images_(images) {}

  Graph build() {
    const Shape input{images_, number(12, 28), number(5, 21), number(5, 21)};
    add({builder_.add_input("x", Type::tensor(DType::f32, input)), input});
    convolution(values_.back(), 3);
    const std::int64_t layers = number(3, 8);
    for (std::int64_t i = 0; i < layers; ++i) grow();
    if (number(0, 2) == 0) node("GlobalAveragePool", {values_.back().id});
    builder_.add_output(last_);
    if (number(0, 2) == 0 && values_[values_.size() / 2].id != last_)
      builder_.add_output(values_[values_.size() / 2].id);
    return std::move(builder_).build();
  }

  Shape input_shape() const { return values_.front().shape; }

 private:
  struct Made {
    ValueId id;
    Shape shape;
  };

  std::int64_t number(std::size_t low, std::size_t high) {
    return static_cast<std::int64_t>(uniform(random_, low, high));
  }
  void add(Made made) {
    last_ = made.id;
    values_.push_back(std::move(made));
  }
  Node make(std::string op, std::vector<ValueId> inputs) {
    Node made;
    made.op = std::move(op);
    made.opset = 13;
    made.inputs = std::move(inputs);
    made.outputs = {builder_.add_value("")};
    last_ = made.outputs[0];
    return made;
  }
  void node(std::string op, std::vector<ValueId> inputs) { builder_.add_node(make(std::move(op), std::move(inputs))); }

  void convolution(const Made from, std::int64_t kernel) {
    const std::int64_t channels = from.shape[1];
    std::int64_t group = 1, out = number(1, 4) == 1 ? number(1, 12) : number(16, 40);
    if (number(0, 3) == 0) group = channels, out = channels;
    if (number(0, 4) == 0 && channels % 2 == 0) group = 2, out = 2 * number(1, 12);
    const std::int64_t stride = number(1, 4) == 1 ? 2 : 1, dilation = number(1, 5) == 1 ? 2 : 1, pad = number(0, 2);
    Shape shape{images_, out, 0, 0};
    for (std::size_t axis = 2; axis < 4; ++axis) {
      const std::int64_t room = from.shape[axis] + 2 * pad - (kernel - 1) * dilation - 1;
      if (room < 0) return;
      shape[axis] = room / stride + 1;
    }
    const double zeros = static_cast<double>(pick(random_, {0, 5, 6, 6, 7, 8, 9})) / 10;
    const Shape weights{out, channels / group, kernel, kernel};
    auto values = random_floats(random_, static_cast<std::size_t>(element_count(weights)), zeros);
    const double inputs = static_cast<double>(channels / group * kernel * kernel);
    for (float& value : values) value /= static_cast<float>(std::sqrt(inputs));  // keeps sums near 1
    const ValueId w = builder_.add_constant("", Tensor::of<float>(weights, values));
    const ValueId b =
        builder_.add_constant("", Tensor::of<float>(Shape{out}, random_floats(random_, static_cast<std::size_t>(out))));
    Node made = make("Conv", {from.id, w, b});
    made.attributes["kernel_shape"] = std::vector<std::int64_t>{kernel, kernel};
    made.attributes["strides"] = std::vector<std::int64_t>{stride, stride};
    made.attributes["dilations"] = std::vector<std::int64_t>{dilation, dilation};
    made.attributes["pads"] = std::vector<std::int64_t>{pad, pad, pad, pad};
    made.attributes["group"] = group;
    builder_.add_node(std::move(made));
    add({last_, shape});
  }

  void pool(const Made from, const std::string& op) {
    const std::int64_t kernel = number(1, 3), stride = number(1, 2), pad = kernel > 1 ? number(0, 1) : 0;
    Shape shape = from.shape;
    for (std::size_t axis = 2; axis < 4; ++axis) {
      if (shape[axis] + 2 * pad < kernel) return;
      shape[axis] = (shape[axis] + 2 * pad - kernel) / stride + 1;
    }
    Node made = make(op, {from.id});
    made.attributes["kernel_shape"] = std::vector<std::int64_t>{kernel, kernel};
    made.attributes["strides"] = std::vector<std::int64_t>{stride, stride};
    made.attributes["pads"] = std::vector<std::int64_t>{pad, pad, pad, pad};
    if (op == "AveragePool") made.attributes["count_include_pad"] = number(0, 1);
    builder_.add_node(std::move(made));
    add({last_, shape});
  }

  void grow() {
    const Made from =
        number(0, 3) == 0 ? values_[static_cast<std::size_t>(number(0, values_.size() - 1))] : values_.back();
    switch (number(0, 7)) {
      case 0:
        node("Relu", {from.id});
        return add({last_, from.shape});
      case 1:
        return pool(from, "MaxPool");
      case 2:
        return pool(from, "AveragePool");
      case 3:
        for (const Made& other : values_) {
          if (other.shape != from.shape || other.id == from.id || other.id == values_.front().id) continue;
          node("Add", {other.id, from.id});
          return add({last_, from.shape});
        }
        return convolution(from, 1);
      case 4:
        for (const Made& other : values_) {
          Shape shape = from.shape;
          if (other.shape[2] != shape[2] || other.shape[3] != shape[3]) continue;
          shape[1] += other.shape[1];
          Node made = make("Concat", {other.id, from.id});
          made.attributes["axis"] = std::int64_t{1};
          builder_.add_node(std::move(made));
          return add({last_, shape});
        }
        return convolution(from, 1);
      default:
        return convolution(from, 2 * number(0, 2) + 1);
    }
  }

  std::mt19937& random_;
  std::int64_t images_;
  GraphBuilder builder_;
  std::vector<Made> values_;
  ValueId last_ = kNoValue;
};

struct Outcome {
  std::vector<Tensor> outputs;
  bool in_columns = false;  ///< some layers ran in columns of images
  bool in_slabs = false;    ///< … in shares of rows or channels
};

/// Compiles the graph as one partition and runs it once.
inline Outcome run_network(const std::shared_ptr<const Graph>& graph, const Tensor& input, ColumnMode mode,
                           int threads) {
  Partition partition;
  partition.graph = graph;
  for (NodeId id = 0; id < graph->nodes().size(); ++id) partition.nodes.push_back(id);
  partition.inputs.assign(graph->inputs().begin(), graph->inputs().end());
  partition.outputs.assign(graph->outputs().begin(), graph->outputs().end());
  CpuOptions options;
  options.columns = mode;
  const auto device = make_cpu_device(discover_machine(), options);
  CompileOptions compile;
  compile.threads = threads;
  const auto executable = device->compile(partition, compile);
  std::vector<Value> inputs{input}, outputs(partition.outputs.size());
  RunState state;
  LayerTimes times;
  state.times = &times;
  executable->run(inputs, outputs, state);
  EXPECT_EQ(times.end_ns.size(), executable->layers().size());
  Outcome outcome;
  for (const Value& output : outputs) outcome.outputs.push_back(output.tensor);
  for (const LayerReport& layer : executable->layers()) {
    outcome.in_columns |= layer.kernel.find("strip.f32") != std::string::npos;
    outcome.in_slabs |= layer.choice.find(" shares of ") != std::string::npos;
  }
  return outcome;
}

/// Largest difference in units of 1e-5 of the larger of 1 and the expected value.
inline double distance(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double worst = 0;
  for (std::size_t i = 0; i < a.data<float>().size(); ++i) {
    const double x = a.data<float>()[i], y = b.data<float>()[i];
    worst = std::max(worst, std::abs(x - y) / std::max(1.0, std::abs(y)) / 1e-5);
  }
  return worst;
}

}  // namespace sparse_run::cpu
