// Schemas and type inference: arithmetic, comparison, logic and bit operators over broadcast operands.
#include <iterator>

#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

namespace {

/// All operands of one element type in Accepted; the result has it too, and the broadcast shape.
template <const DTypeClass& Accepted>
void infer_broadcast(InferContext& context) {
  const DType dtype = expect_same_dtype(context, 0, context.input_count(), Accepted);
  context.set_tensor(0, dtype, broadcast_operands(context, 0, context.input_count()));
}

template <const DTypeClass& Accepted>
void infer_comparison(InferContext& context) {
  expect_same_dtype(context, 0, 2, Accepted);
  context.set_tensor(0, DType::boolean, broadcast_operands(context, 0, 2));
}

constexpr DTypeClass kUnsigned{[](DType d) { return is_integer(d) && !is_signed_integer(d); },
                               "an unsigned integer type"};
constexpr DTypeClass kComparable{
    [](DType d) { return is_float(d) || is_integer(d) || d == DType::boolean || d == DType::string; },
    "a number type, bool or string"};
constexpr DTypeClass kAny{[](DType d) { return d != DType::undefined; }, "any type"};

void infer_mod(InferContext& context) {
  const std::int64_t fmod = context.node().int_or("fmod", 0);
  if (fmod != 0 && fmod != 1) throw_error(ErrorKind::model, "attribute 'fmod' is {}, expected 0 or 1", fmod);
  infer_broadcast<kNumeric>(context);
}

/// The result has the base's element type, whatever the exponent's.
void infer_pow(InferContext& context) {
  const DType dtype = expect_dtype(context, 0, kNumeric);
  if (context.opset() < 12) {
    expect_same_dtype(context, 0, 2, kNumeric);
  } else {
    expect_dtype(context, 1, kNumeric);
  }
  context.set_tensor(0, dtype, broadcast_operands(context, 0, 2));
}

void infer_bit_shift(InferContext& context) {
  const std::string& direction = context.node().get<std::string>("direction");
  if (direction != "LEFT" && direction != "RIGHT") {
    throw_error(ErrorKind::model, "attribute 'direction' is '{}', expected LEFT or RIGHT", direction);
  }
  infer_broadcast<kUnsigned>(context);
}

void infer_prelu(InferContext& context) {
  const DType dtype = expect_same_dtype(context, 0, 2, kNumeric);
  if (const Shape* shape = context.shape(0)) expect_broadcast_to(context, 1, *shape);
  context.set_tensor(0, dtype, context.input(0).shape);
}

void infer_where(InferContext& context) {
  expect_dtype(context, 0, kBoolean);
  context.set_tensor(0, expect_same_dtype(context, 1, 3, kAny), broadcast_operands(context, 0, 3));
}

OpSchema binary(std::string_view name, int since, InferFunction infer) {
  return {.name = name, .since = since, .min_inputs = 2, .max_inputs = 2, .infer = infer};
}

OpSchema variadic(std::string_view name, int since, InferFunction infer) {
  return {.name = name, .since = since, .min_inputs = 1, .infer = infer};
}

}  // namespace

void register_arithmetic_ops(OpRegistry& registry) {
  for (const std::string_view name : {"Add", "Sub", "Mul", "Div"})
    registry.add(binary(name, 7, infer_broadcast<kNumeric>));
  registry.add(binary("Mod", 10, infer_mod));
  registry.add(binary("Pow", 7, infer_pow));
  registry.add(binary("PRelu", 7, infer_prelu));
  for (const std::string_view name : {"And", "Or", "Xor"}) registry.add(binary(name, 7, infer_broadcast<kBoolean>));
  for (const std::string_view name : {"BitwiseAnd", "BitwiseOr", "BitwiseXor"}) {
    registry.add(binary(name, 18, infer_broadcast<kInteger>));
  }
  registry.add(binary("BitShift", 11, infer_bit_shift));
  registry.add(binary("Equal", 7, infer_comparison<kComparable>));
  for (const std::string_view name : {"Less", "Greater"}) registry.add(binary(name, 7, infer_comparison<kNumeric>));
  for (const std::string_view name : {"LessOrEqual", "GreaterOrEqual"}) {
    registry.add(binary(name, 12, infer_comparison<kNumeric>));
  }
  for (const std::string_view name : {"Min", "Max"}) registry.add(variadic(name, 6, infer_broadcast<kNumeric>));
  for (const std::string_view name : {"Sum", "Mean"}) registry.add(variadic(name, 6, infer_broadcast<kFloat>));
  registry.add({.name = "Where", .since = 9, .min_inputs = 3, .max_inputs = 3, .infer = infer_where});
}

}  // namespace sparse_run
