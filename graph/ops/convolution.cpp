// Schemas and type inference: convolutions, and the registration of the operators that work on images and signals.
#include "graph/ops/convolution.hpp"

#include "graph/ops/operand_rules.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run {

namespace {

struct ConvOperands {
  Shape input;
  Shape weights;
};

/// Shapes of input x and weights w, made up of unknown dimensions where only the other's rank is known.
std::optional<ConvOperands> conv_operands(const InferContext& context, std::size_t x, std::size_t w) {
  const Shape* input = context.shape(x);
  const Shape* weights = context.shape(w);
  if (input == nullptr && weights == nullptr) return std::nullopt;
  ConvOperands operands;
  operands.input = input != nullptr ? *input : Shape(weights->size(), kUnknownDim);
  operands.weights = weights != nullptr ? *weights : Shape(input->size(), kUnknownDim);
  return operands;
}

void infer_forward(InferContext& context, std::size_t x, std::size_t w, std::size_t bias, DType dtype) {
  const auto operands = conv_operands(context, x, w);
  if (!operands) return context.set_tensor(0, dtype);
  const ConvGeometry geometry = ConvGeometry::forward(context.node(), operands->input, operands->weights);
  if (context.has_input(bias)) expect_vector(context, bias, geometry.out_channels, "bias");
  context.set_tensor(0, dtype, geometry.output_shape());
}

void infer_conv(InferContext& context) {
  expect_float(context, 0);
  const DType dtype = expect_same_dtype(context, 0, 1);
  if (context.has_input(2)) expect_same_dtype(context, 0, 2);
  infer_forward(context, 0, 1, 2, dtype);
}

void infer_conv_transpose(InferContext& context) {
  expect_float(context, 0);
  const DType dtype = expect_same_dtype(context, 0, 1);
  if (context.has_input(2)) expect_same_dtype(context, 0, 2);
  const auto operands = conv_operands(context, 0, 1);
  if (!operands) return context.set_tensor(0, dtype);
  const ConvGeometry geometry = ConvGeometry::transposed(context.node(), operands->input, operands->weights);
  if (context.has_input(2)) expect_vector(context, 2, geometry.out_channels, "bias");
  context.set_tensor(0, dtype, geometry.output_shape());
}

void infer_conv_integer(InferContext& context) {
  for (std::size_t i = 0; i < 2; ++i) expect_dtype(context, i, {DType::u8, DType::i8});
  for (std::size_t i = 2; i < 4; ++i) {
    if (context.has_input(i)) expect_same_dtype(context, i - 2, i);
  }
  infer_forward(context, 0, 1, 4, DType::i32);
}

void infer_qlinear_conv(InferContext& context) {
  for (const std::size_t i : {0, 3, 7}) expect_dtype(context, i, {DType::u8, DType::i8});
  for (const std::size_t i : {1, 4, 6}) expect_dtype(context, i, {DType::f32});
  if (context.has_input(8)) expect_dtype(context, 8, {DType::i32});
  infer_forward(context, 0, 3, 8, context.dtype(7));
}

void infer_deform_conv(InferContext& context) {
  expect_float(context, 0);
  DType dtype = expect_same_dtype(context, 0, 1);
  expect_same_dtype(context, 0, 2);
  const auto operands = conv_operands(context, 0, 1);
  if (!operands) return context.set_tensor(0, dtype);
  const Node& node = context.node();
  const ConvGeometry geometry = ConvGeometry::forward(node, operands->input, operands->weights);
  if (context.has_input(3)) expect_vector(context, 3, geometry.out_channels, "bias");
  const std::int64_t offset_group = node.int_or("offset_group", 1);
  if (offset_group < 1 || (geometry.in_channels >= 0 && geometry.in_channels % offset_group != 0)) {
    throw_error(ErrorKind::model, "{} input channels cannot be divided into {} offset groups", geometry.in_channels,
                offset_group);
  }
  std::int64_t taps = offset_group;
  for (const WindowAxis& axis : geometry.axes) {
    taps = taps < 0 || axis.kernel < 0 ? kUnknownDim : checked_multiply(taps, axis.kernel);
  }
  const auto check = [&](std::size_t i, std::int64_t per_tap) {
    const Shape* shape = expect_rank(context, i, geometry.axes.size() + 2);
    if (shape == nullptr) return;
    expect_same_dim((*shape)[0], geometry.batch, "batch of input and offsets");
    expect_same_dim((*shape)[1], taps < 0 ? kUnknownDim : checked_multiply(taps, per_tap),
                    "channels of offsets or mask and what the kernel needs");
    for (std::size_t d = 0; d < geometry.axes.size(); ++d) {
      expect_same_dim((*shape)[2 + d], geometry.axes[d].output, "spatial size of offsets or mask and of the output");
    }
  };
  check(2, static_cast<std::int64_t>(geometry.axes.size()));
  if (context.has_input(4)) check(4, 1);
  context.set_tensor(0, dtype, geometry.output_shape());
}

void infer_causal_conv(InferContext& context) {
  expect_dtype(context, 0, {DType::f32, DType::f16, DType::bf16});
  const DType dtype = expect_same_dtype(context, 0, 1);
  const std::string activation = context.node().string_or("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish") {
    throw_error(ErrorKind::model, "attribute 'activation' is '{}': none, silu or swish expected", activation);
  }
  const Shape unknown(3, kUnknownDim);
  const Shape* given_input = expect_rank(context, 0, 3);
  const Shape* given_weights = expect_rank(context, 1, 3);
  Shape input = given_input != nullptr ? *given_input : unknown;
  const Shape weights = given_weights != nullptr ? *given_weights : unknown;
  input[1] = expect_same_dim(input[1], weights[0], "channels of input and weights");
  expect_same_dim(weights[1], 1, "second dimension of depthwise weights");
  if (weights[2] == 0) throw_error(ErrorKind::model, "weights {} have an empty kernel", to_string(weights));
  if (context.has_input(2)) {
    expect_same_dtype(context, 0, 2);
    expect_vector(context, 2, input[1], "bias");
  }
  Shape state{input[0], input[1], weights[2] < 0 ? kUnknownDim : weights[2] - 1};
  if (context.has_input(3)) {
    expect_same_dtype(context, 0, 3);
    if (const Shape* past = expect_rank(context, 3, 3)) {
      for (std::size_t d = 0; d < 3; ++d) state[d] = expect_same_dim(state[d], (*past)[d], "past state and its use");
    }
  }
  input[0] = state[0];
  input[1] = state[1];
  context.set_tensor(0, dtype, input);
  context.set_tensor(1, dtype, state);
}

}  // namespace

void register_convolution_ops(OpRegistry& registry) {
  registry.add({"", "Conv", 1, 2, 3, 1, 1, infer_conv});
  registry.add({"", "ConvTranspose", 1, 2, 3, 1, 1, infer_conv_transpose});
  registry.add({"", "ConvInteger", 10, 2, 4, 1, 1, infer_conv_integer});
  registry.add({"", "QLinearConv", 10, 8, 9, 1, 1, infer_qlinear_conv});
  registry.add({"", "DeformConv", 19, 3, 5, 1, 1, infer_deform_conv});
  registry.add({"", "CausalConvWithState", 27, 2, 4, 2, 2, infer_causal_conv});
  register_pooling_ops(registry);
  register_resize_ops(registry);
  register_image_ops(registry);
  register_signal_ops(registry);
}

}  // namespace sparse_run
