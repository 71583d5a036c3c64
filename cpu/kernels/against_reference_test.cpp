// Fast kernels against the oracle: single nodes over random shapes, compiled as a user's model would be.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "cpu/device.hpp"
#include "cpu/reference/reference.hpp"
#include "graph/ops/infer.hpp"

namespace sparse_run::cpu {
namespace {

using Attributes = std::map<std::string, Attribute, std::less<>>;
using Ints = std::vector<std::int64_t>;

constexpr unsigned kSeed = 20240611;

/// A node under test: its operands, and which of them the model gives as constants.
struct Case {
  std::string op;
  int opset = 17;
  Attributes attributes = {};
  std::vector<Tensor> operands = {};  ///< an empty one (undefined) is omitted
  std::vector<std::size_t> constants = {};
  std::size_t outputs = 1;
};

struct Outcome {
  std::string kernel;
  std::vector<Tensor> results, expected;
};

Outcome run(const Case& test) {
  GraphBuilder builder("test");
  Node node;
  node.name = "tested";
  node.op = test.op;
  node.opset = test.opset;
  node.attributes = test.attributes;
  std::vector<Value> operands, inputs;
  for (std::size_t i = 0; i < test.operands.size(); ++i) {
    const Tensor& tensor = test.operands[i];
    operands.emplace_back();
    if (tensor.dtype() == DType::undefined) {
      node.inputs.push_back(kNoValue);
      continue;
    }
    operands.back() = Value(tensor);
    const std::string name = "x" + std::to_string(i);
    if (std::find(test.constants.begin(), test.constants.end(), i) != test.constants.end()) {
      node.inputs.push_back(builder.add_constant(name, tensor));
    } else {
      node.inputs.push_back(builder.add_input(name, Type::tensor(tensor.dtype(), tensor.shape())));
      inputs.emplace_back(tensor);
    }
  }
  std::mt19937_64 random(0);
  Node alone = node;
  ValueId id = 0;
  for (ValueId& input : alone.inputs) input = input == kNoValue ? kNoValue : id++;
  for (std::size_t i = 0; i < test.outputs; ++i) alone.outputs.push_back(id++);
  const std::vector<Value> expected = reference::run_node(alone, operands, {}, random);
  for (std::size_t i = 0; i < test.outputs; ++i) {
    const Tensor& tensor = expected[i].tensor;
    node.outputs.push_back(builder.add_value("y" + std::to_string(i), Type::tensor(tensor.dtype(), tensor.shape())));
    builder.add_output(node.outputs.back());
  }
  builder.add_node(std::move(node));
  auto graph = std::make_shared<const Graph>(std::move(builder).build());
  Partition partition{
      graph, {0}, {graph->inputs().begin(), graph->inputs().end()}, {graph->outputs().begin(), graph->outputs().end()}};
  const auto device = make_cpu_device(discover_machine());
  CompileOptions options;
  options.threads = 2;
  const auto executable = device->compile(partition, options);
  RunState state;
  std::vector<Value> outputs(test.outputs);
  executable->run(inputs, outputs, state);
  Outcome outcome;
  outcome.kernel = executable->layers().at(0).kernel;
  for (std::size_t i = 0; i < test.outputs; ++i) {
    outcome.results.push_back(outputs[i].tensor);
    outcome.expected.push_back(expected[i].tensor);
  }
  return outcome;
}

/// Both kernels' results agree: floats to `tolerance` of the largest magnitude, everything else exactly.
void expect_agreement(const Case& test, const std::string& kernel, double tolerance = 2e-6) {
  const Outcome outcome = run(test);
  EXPECT_EQ(outcome.kernel, kernel) << test.op;
  for (std::size_t i = 0; i < outcome.results.size(); ++i) {
    const Tensor& got = outcome.results[i];
    const Tensor& want = outcome.expected[i];
    ASSERT_EQ(got.shape(), want.shape());
    ASSERT_EQ(got.dtype(), want.dtype());
    if (want.dtype() != DType::f32) {
      EXPECT_EQ(std::memcmp(got.raw(), want.raw(), want.bytes()), 0) << test.op << " result " << i;
      continue;
    }
    const auto a = got.data<float>();
    const auto b = want.data<float>();
    double scale = 1;
    for (const float value : b) {
      if (std::isfinite(value)) scale = std::max(scale, std::abs(static_cast<double>(value)));
    }
    for (std::size_t j = 0; j < a.size(); ++j) {
      if (a[j] == b[j] || (std::isnan(a[j]) && std::isnan(b[j]))) continue;
      ASSERT_NEAR(a[j], b[j], tolerance * scale)
          << test.op << " result " << i << " element " << j << ", shape " << to_string(want.shape());
    }
  }
}

class AgainstReference : public ::testing::Test {
 protected:
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  Tensor floats(Shape shape, float low = -2, float high = 2) {
    Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
    std::uniform_real_distribution<float> values(low, high);
    for (float& x : tensor.data<float>()) x = values(random_);
    return tensor;
  }
  template <class T>
  Tensor integers(Shape shape, std::int64_t low, std::int64_t high) {
    Tensor tensor = Tensor::allocate(dtype_of<T>, std::move(shape));
    for (T& x : tensor.template data<T>()) x = static_cast<T>(between(low, high));
    return tensor;
  }
  static Tensor list(const Ints& values) {
    return Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
  }

  std::mt19937_64 random_{kSeed};
};

TEST_F(AgainstReference, recurrent_networks) {
  for (int round = 0; round < 24; ++round) {
    const char* ops[] = {"RNN", "GRU", "LSTM"};
    const std::int64_t gates[] = {1, 3, 4};
    const std::size_t kind = static_cast<std::size_t>(round % 3);
    const char* directions[] = {"forward", "reverse", "bidirectional"};
    const std::size_t direction = static_cast<std::size_t>(round / 3 % 3);
    const std::int64_t d = direction == 2 ? 2 : 1;
    const std::int64_t t = between(1, 9), b = between(1, 11), in = between(1, 20), h = between(1, 40);
    const bool batch_first = round % 2 == 1;
    Case test;
    test.op = ops[kind];
    test.attributes = {
        {"direction", std::string(directions[direction])}, {"hidden_size", h}, {"layout", std::int64_t{batch_first}}};
    if (kind == 1) test.attributes["linear_before_reset"] = std::int64_t{round / 9 % 2};
    const Shape state = batch_first ? Shape{b, d, h} : Shape{d, b, h};
    test.operands = {floats(batch_first ? Shape{b, t, in} : Shape{t, b, in}),
                     floats({d, gates[kind] * h, in}, -0.5f, 0.5f),
                     floats({d, gates[kind] * h, h}, -0.5f, 0.5f),
                     floats({d, 2 * gates[kind] * h}),
                     Tensor(),
                     floats(state)};
    if (kind == 2) test.operands.push_back(floats(state));
    test.constants = {1, 2, 3};
    test.outputs = kind == 2 ? 3 : 2;
    expect_agreement(test,
                     kind == 0   ? "cpu.rnn.steps.f32"
                     : kind == 1 ? "cpu.gru.steps.f32"
                                 : "cpu.lstm.steps.f32",
                     1e-5);
  }
}

TEST_F(AgainstReference, recurrent_networks_with_rules_of_their_own_stay_with_the_oracle) {
  Case test{"LSTM",
            14,
            {{"hidden_size", std::int64_t{3}}, {"clip", 0.5f}},
            {floats({2, 1, 4}), floats({1, 12, 4}), floats({1, 12, 3})},
            {1, 2}};
  expect_agreement(test, "cpu.reference");
}

TEST_F(AgainstReference, transposed_convolutions) {
  for (int round = 0; round < 40; ++round) {
    const std::int64_t group = between(1, 2);
    const std::int64_t kh = between(1, 4), kw = between(1, 4), sh = between(1, 3), sw = between(1, 3);
    const std::int64_t dh = between(1, 2), dw = between(1, 2);
    Case test;
    test.op = "ConvTranspose";
    const bool flat = round % 5 == 4;
    if (flat) {
      test.attributes = {
          {"strides", Ints{sw}}, {"dilations", Ints{dw}}, {"group", group}, {"pads", Ints{0, between(0, 1)}}};
      test.operands = {floats({between(1, 2), 2 * group, between(2, 30)}), floats({2 * group, between(1, 3), kw})};
    } else {
      test.attributes = {{"strides", Ints{sh, sw}},
                         {"dilations", Ints{dh, dw}},
                         {"group", group},
                         {"pads", Ints{between(0, (kh - 1) * dh), between(0, (kw - 1) * dw), 0, between(0, 1)}},
                         {"output_padding", Ints{0, sw - 1}}};
      if (round % 2 == 0) test.attributes.erase("output_padding");
      test.operands = {floats({between(1, 2), 3 * group, between(2, 12), between(2, 12)}),
                       floats({3 * group, between(1, 5), kh, kw})};
    }
    if (round % 3 == 0) test.operands.push_back(floats({test.operands[1].shape()[1] * group}));
    test.constants = {1};
    expect_agreement(test, "cpu.conv_transpose.product.f32", 1e-5);
  }
}

TEST_F(AgainstReference, depthwise_convolutions_of_planes_large_enough_to_be_shared_by_rows) {
  for (int round = 0; round < 6; ++round) {
    const std::int64_t channels = between(5, 21), stride = 1 + round % 2;
    Case test{"Conv",
              17,
              {{"group", channels}, {"strides", Ints{stride, stride}}, {"pads", Ints{1, 1, 1, 1}}},
              {floats({1, channels, stride * between(40, 50), stride * between(52, 60)}), floats({channels, 1, 3, 3}),
               floats({channels})},
              {1, 2}};
    expect_agreement(test, "cpu.conv.depthwise.f32", 1e-5);
  }
}

TEST_F(AgainstReference, quantisation) {
  for (int round = 0; round < 20; ++round) {
    const bool per_axis = round % 2 == 1;
    const std::int64_t channels = between(1, 5);
    const Shape shape{between(1, 3), channels, between(1, 40)};
    const Shape scales = per_axis ? Shape{channels} : Shape{};
    const bool is_signed = round % 3 == 0;
    Case quantize{"QuantizeLinear", 13, {}, {floats(shape, -300, 300), floats(scales, 0.01f, 2.0f)}, {1, 2}};
    if (round == 0) quantize.operands[0].data<float>()[0] = std::nanf("");
    if (round == 2) quantize.operands[0].data<float>()[0] = INFINITY;
    Case dequantize{"DequantizeLinear", 13, {}, {Tensor(), floats(scales, 0.01f, 2.0f)}, {1, 2}};
    if (is_signed) {
      quantize.operands.push_back(integers<std::int8_t>(scales, -128, 127));
      dequantize.operands[0] = integers<std::int8_t>(shape, -128, 127);
      dequantize.operands.push_back(integers<std::int8_t>(scales, -128, 127));
    } else {
      quantize.operands.push_back(integers<std::uint8_t>(scales, 0, 255));
      dequantize.operands[0] = integers<std::uint8_t>(shape, 0, 255);
      dequantize.operands.push_back(integers<std::uint8_t>(scales, 0, 255));
    }
    expect_agreement(quantize, "cpu.quantize.row.f32");
    expect_agreement(dequantize, "cpu.dequantize.row.f32");
  }
}

TEST_F(AgainstReference, halves_round_to_even_when_quantised) {
  const Case test{"QuantizeLinear",
                  13,
                  {},
                  {Tensor::of<float>({6}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 254.5f}), Tensor::scalar(1.0f),
                   Tensor::scalar<std::uint8_t>(10)},
                  {1, 2}};
  const Outcome outcome = run(test);
  const auto got = outcome.results[0].data<std::uint8_t>();
  EXPECT_THAT(std::vector<int>(got.begin(), got.end()), ::testing::ElementsAre(10, 12, 12, 10, 8, 255));
}

TEST_F(AgainstReference, reductions) {
  for (const char* op :
       {"ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMin"}) {
    for (const Ints& axes : {Ints{0}, Ints{1}, Ints{2}, Ints{-1}, Ints{0, 1}, Ints{1, 2}, Ints{0, 1, 2}}) {
      Case test{op,
                18,
                {{"keepdims", between(0, 1)}},
                {floats({between(1, 5), between(1, 700), between(1, 40)}), list(axes)},
                {1}};
      if (std::string(op) == "ReduceSum") test.opset = 13;
      if (axes.size() == 1) test.operands[0].data<float>()[0] = std::nanf("");
      expect_agreement(test, "cpu.reduce.row.f32", 1e-5);
    }
  }
  Case apart{"ReduceSum", 13, {}, {floats({2, 3, 4}), list({0, 2})}, {1}};
  expect_agreement(apart, "cpu.reference");
}

TEST_F(AgainstReference, slices_and_expansions) {
  for (int round = 0; round < 40; ++round) {
    const Shape shape{between(1, 6), between(1, 6), between(1, 20)};
    Ints starts, ends, steps;
    for (const std::int64_t size : shape) {
      const bool back = between(0, 2) == 0;
      const std::int64_t first = between(0, size - 1);
      starts.push_back(back ? first : first);
      ends.push_back(back ? -size - 1 : size);
      steps.push_back(back ? -between(1, 3) : between(1, 3));
    }
    expect_agreement(
        {"Slice", 13, {}, {floats(shape), list(starts), list(ends), list({0, 1, 2}), list(steps)}, {1, 2, 3, 4}},
        "cpu.slice.strided");
    const Shape narrow{between(0, 1) == 0 ? 1 : shape[0], between(0, 1) == 0 ? 1 : shape[1],
                       between(0, 1) == 0 ? 1 : shape[2]};
    expect_agreement(
        {"Expand", 13, {}, {integers<std::int64_t>(narrow, -5, 5), list({3, shape[0], shape[1], shape[2]})}, {1}},
        "cpu.expand.strided");
  }
}

TEST_F(AgainstReference, paddings) {
  for (const char* mode : {"constant", "edge", "reflect", "wrap"}) {
    for (int round = 0; round < 10; ++round) {
      const Shape shape{between(1, 3), between(2, 6), between(3, 30)};
      const bool cut = round % 4 == 3 && std::string(mode) == "constant";
      const Ints pads{
          between(0, 2) * (shape[0] > 1), between(0, 1), between(cut ? -2 : 0, 2), 0, between(0, 1), between(0, 2)};
      Case test{"Pad", 19, {{"mode", std::string(mode)}}, {floats(shape), list(pads), Tensor::scalar(7.5f)}, {1}};
      if (round % 2 == 0) test.operands[2] = Tensor();
      if (std::string(mode) != "constant") test.operands.resize(2);
      expect_agreement(test, "cpu.pad.runs");
    }
  }
}

TEST_F(AgainstReference, resizes) {
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const char* coordinates : {"half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"}) {
      for (int round = 0; round < 4; ++round) {
        const Shape shape{between(1, 2), between(1, 3), between(1, 9), between(2, 9)};
        Case test{"Resize",
                  18,
                  {{"mode", std::string(mode)}, {"coordinate_transformation_mode", std::string(coordinates)}},
                  {floats(shape), Tensor(), Tensor(), list({shape[0], shape[1], between(1, 20), between(1, 20)})},
                  {3}};
        if (round == 3 && std::string(mode) != "nearest") test.attributes["antialias"] = std::int64_t{1};
        expect_agreement(test, "cpu.resize.taps", 1e-5);
      }
    }
  }
  expect_agreement({"Resize",
                    18,
                    {},
                    {integers<std::uint8_t>({1, 2, 3, 4}, 0, 255), Tensor(), Tensor::of<float>({4}, {1, 1, 2, 3})},
                    {2}},
                   "cpu.resize.taps");
}

TEST_F(AgainstReference, short_time_fourier_transforms) {
  for (int round = 0; round < 10; ++round) {
    const std::int64_t length = between(1, 50), samples = length + between(0, 400), batch = between(1, 3);
    Case test{"STFT",
              17,
              {{"onesided", std::int64_t{round % 2}}},
              {floats(round % 3 == 0 ? Shape{batch, samples} : Shape{batch, samples, 1}),
               Tensor::scalar<std::int64_t>(between(1, 9)), floats({length}), Tensor()},
              {1, 2, 3}};
    if (round % 4 == 3) {
      test.operands[2] = Tensor();
      test.operands[3] = Tensor::scalar<std::int64_t>(length);
    }
    expect_agreement(test, "cpu.stft.product.f32", 1e-5);
  }
}

TEST_F(AgainstReference, functions_of_one_operand) {
  for (const char* op :
       {"Exp", "Neg", "Abs", "Reciprocal", "Floor", "Ceil", "Erf", "Sin", "Cos", "Softplus", "Elu", "HardSigmoid"}) {
    Case test{op, 13, {}, {floats({between(1, 7), between(1, 3000)}, -4, 4)}};
    test.operands[0].data<float>()[0] = std::nanf("");
    expect_agreement(test, "cpu.math.loop.f32", 1e-6);
  }
  for (const char* op : {"Sqrt", "Log"})
    expect_agreement({op, 13, {}, {floats({9, 9}, 0, 4)}}, "cpu.math.loop.f32", 1e-6);
  expect_agreement({"Gelu", 20, {{"approximate", std::string("tanh")}}, {floats({3, 77}, -6, 6)}}, "cpu.map.row.f32",
                   1e-6);
}

TEST_F(AgainstReference, functions_of_several_operands) {
  const std::pair<Shape, Shape> shapes[] = {{{4, 5}, {4, 5}},          {{4, 5}, {5}}, {{4, 1}, {1, 6}}, {{}, {3, 2}},
                                            {{2, 3, 1, 4}, {3, 5, 1}}, {{7}, {}}};
  for (const auto& [a, b] : shapes) {
    for (const char* op : {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}) {
      expect_agreement({op, 16, {}, {integers<std::int64_t>(a, 0, 2), integers<std::int64_t>(b, 0, 2)}},
                       "cpu.compare.loop");
      expect_agreement({op, 16, {}, {floats(a), floats(b)}}, "cpu.compare.loop");
    }
    for (const char* op : {"And", "Or", "Xor"}) {
      expect_agreement({op, 7, {}, {integers<bool>(a, 0, 1), integers<bool>(b, 0, 1)}}, "cpu.logic.loop");
    }
    expect_agreement({"Pow", 15, {}, {floats(a, 0.1f, 3), floats(b)}}, "cpu.power.loop.f32");
    expect_agreement({"Where", 16, {}, {integers<bool>(a, 0, 1), floats(b), floats({})}}, "cpu.where.loop");
    expect_agreement(
        {"Where", 16, {}, {integers<bool>({}, 0, 1), integers<std::int64_t>(a, 0, 9), integers<std::int64_t>(b, 0, 9)}},
        "cpu.where.loop");
  }
  for (const float exponent : {2.0f, 3.0f, -0.5f}) {
    expect_agreement({"Pow", 15, {}, {floats({5, 6}, 0.1f, 3), Tensor::scalar(exponent)}, {1}}, "cpu.power.loop.f32");
  }
}

TEST_F(AgainstReference, a_scalar_added_to_a_sparse_product_of_one_column) {
  Tensor weights = floats({64, 1});
  for (std::size_t i = 0; i < 60; ++i) weights.data<float>()[i] = 0;
  const Outcome outcome = run({"Gemm", 13, {}, {floats({32, 64}), weights, Tensor::scalar(3.0f)}, {1, 2}});
  ASSERT_EQ(outcome.results[0].shape(), (Shape{32, 1}));
  for (std::size_t i = 0; i < 32; ++i) {
    EXPECT_NEAR(outcome.results[0].data<float>()[i], outcome.expected[0].data<float>()[i], 1e-5) << i;
  }
}

TEST_F(AgainstReference, casts) {
  const auto to = [](DType dtype) { return Attributes{{"to", static_cast<std::int64_t>(dtype)}}; };
  for (const DType dtype : {DType::f32, DType::i32, DType::i64, DType::boolean}) {
    expect_agreement(
        {"Cast", 13, to(dtype), {integers<std::int64_t>({3, 50}, -(std::int64_t{1} << 40), std::int64_t{1} << 40)}},
        "cpu.cast.loop");
    expect_agreement({"Cast", 13, to(dtype), {integers<std::uint8_t>({70}, 0, 255)}}, "cpu.cast.loop");
    expect_agreement({"Cast", 13, to(dtype), {integers<bool>({70}, 0, 1)}}, "cpu.cast.loop");
  }
  expect_agreement({"Cast", 13, to(DType::boolean), {floats({33})}}, "cpu.cast.loop");
  expect_agreement({"Cast", 13, to(DType::i64), {floats({33})}}, "cpu.reference");
}

}  // namespace
}  // namespace sparse_run::cpu
