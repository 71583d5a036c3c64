// Schemas and type inference: functions of one operand, Clip and Dropout.
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

namespace {

template <const DTypeClass& Accepted>
void infer_same(InferContext& context) {
  infer_like_input(context, Accepted);
}

constexpr DTypeClass kSigned{[](DType d) { return is_float(d) || is_signed_integer(d); }, "a signed number type"};

void infer_float_test(InferContext& context) {
  expect_dtype(context, 0, kFloat);
  context.set_tensor(0, DType::boolean, context.input(0).shape);
}

void infer_gelu(InferContext& context) {
  const std::string approximate = context.node().string_or("approximate", "none");
  if (approximate != "none" && approximate != "tanh") {
    throw_error(ErrorKind::model, "attribute 'approximate' is '{}', expected none or tanh", approximate);
  }
  infer_like_input(context, kFloat);
}

/// The bounds, when they are operands, are single elements of the data's type.
void infer_clip(InferContext& context) {
  const DType dtype = expect_same_dtype(context, 0, context.input_count(), kNumeric);
  for (std::size_t i = 1; i < context.input_count(); ++i) {
    const Shape* shape = context.has_input(i) ? context.shape(i) : nullptr;
    if (shape != nullptr && !shape->empty() && *shape != Shape{1} && *shape != Shape{kUnknownDim}) {
      throw_error(ErrorKind::model, "input {} must be a scalar, it has shape {}", i, to_string(*shape));
    }
  }
  context.set_tensor(0, dtype, context.input(0).shape);
}

void infer_dropout(InferContext& context) {
  const DType dtype = expect_dtype(context, 0, kFloat);
  if (context.has_input(1)) expect_dtype(context, 1, kFloat);
  if (context.has_input(2)) expect_dtype(context, 2, kBoolean);
  context.set_tensor(0, dtype, context.input(0).shape);
  context.set_tensor(1, context.opset() < 10 ? dtype : DType::boolean, context.input(0).shape);
}

OpSchema unary(std::string_view name, int since, InferFunction infer) {
  return {.name = name, .since = since, .min_inputs = 1, .max_inputs = 1, .infer = infer};
}

}  // namespace

void register_activation_ops(OpRegistry& registry) {
  registry.add(unary("Not", 1, infer_same<kBoolean>));
  registry.add(unary("BitwiseNot", 18, infer_same<kInteger>));
  registry.add(unary("Abs", 6, infer_same<kNumeric>));
  registry.add(unary("Neg", 6, infer_same<kSigned>));
  registry.add(unary("Sign", 9, infer_same<kNumeric>));
  registry.add(unary("Relu", 6, infer_same<kSigned>));
  registry.add(unary("Shrink", 9, infer_same<kNumeric>));
  for (const std::string_view name : {"Ceil", "Floor", "Sqrt", "Reciprocal", "Exp", "Log", "Tanh", "Sigmoid",
                                      "HardSigmoid", "LeakyRelu", "Elu", "Selu"}) {
    registry.add(unary(name, 6, infer_same<kFloat>));
  }
  for (const std::string_view name : {"Softplus", "Softsign"}) registry.add(unary(name, 1, infer_same<kFloat>));
  for (const std::string_view name : {"Sin", "Cos", "Tan", "Asin", "Acos", "Atan"}) {
    registry.add(unary(name, 7, infer_same<kFloat>));
  }
  for (const std::string_view name : {"Sinh", "Cosh", "Asinh", "Acosh", "Atanh"}) {
    registry.add(unary(name, 9, infer_same<kFloat>));
  }
  registry.add(unary("Erf", 9, infer_same<kNumeric>));
  registry.add(unary("ThresholdedRelu", 10, infer_same<kFloat>));
  registry.add(unary("Round", 11, infer_same<kFloat>));
  registry.add(unary("Celu", 12, infer_same<kFloat>));
  registry.add(unary("HardSwish", 14, infer_same<kFloat>));
  registry.add(unary("Mish", 18, infer_same<kFloat>));
  registry.add(unary("Gelu", 20, infer_gelu));
  registry.add(unary("Swish", 24, infer_same<kFloat>));
  registry.add(unary("IsNaN", 9, infer_float_test));
  registry.add(unary("IsInf", 10, infer_float_test));

  registry.add({.name = "Clip", .since = 6, .min_inputs = 1, .max_inputs = 1, .infer = infer_same<kNumeric>});
  registry.add({.name = "Clip", .since = 11, .min_inputs = 1, .max_inputs = 3, .infer = infer_clip});
  registry.add(
      {.name = "Dropout", .since = 7, .min_inputs = 1, .max_inputs = 1, .max_outputs = 2, .infer = infer_dropout});
  // From opset 12 on, an operand may ask for training, which is random.
  registry.add({.name = "Dropout",
                .since = 12,
                .min_inputs = 1,
                .max_inputs = 3,
                .max_outputs = 2,
                .infer = infer_dropout,
                .deterministic = false});
}

}  // namespace sparse_run
