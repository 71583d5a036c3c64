// Schemas and type inference: conversions between element types.
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

namespace {

constexpr DTypeClass kConvertible{
    [](DType d) { return is_float(d) || is_integer(d) || d == DType::boolean || d == DType::string; },
    "a number type, bool or string"};

DType required_dtype(const Node& node, std::string_view attribute) {
  node.get<std::int64_t>(attribute);
  return dtype_attribute(node, attribute, DType::undefined);
}

void infer_cast(InferContext& context) {
  const DType to = required_dtype(context.node(), "to");
  if (!kConvertible.contains(to))
    throw_error(ErrorKind::unsupported, "conversion to {} is not supported", to_string(to));
  expect_dtype(context, 0, kConvertible);
  context.set_tensor(0, to, context.input(0).shape);
}

void infer_cast_like(InferContext& context) {
  expect_dtype(context, 0, kConvertible);
  context.set_tensor(0, expect_dtype(context, 1, kConvertible), context.input(0).shape);
}

void infer_bit_cast(InferContext& context) {
  constexpr DTypeClass kPlain{[](DType d) { return element_size(d) != 0; }, "a type other than string"};
  const DType to = required_dtype(context.node(), "to");
  const DType from = expect_dtype(context, 0, kPlain);
  if (!kPlain.contains(to)) throw_error(ErrorKind::model, "BitCast to {} is not defined", to_string(to));
  if (from != DType::undefined && element_size(from) != element_size(to)) {
    throw_error(ErrorKind::model, "BitCast from {} to {}: the widths differ", to_string(from), to_string(to));
  }
  context.set_tensor(0, to, context.input(0).shape);
}

}  // namespace

void register_cast_ops(OpRegistry& registry) {
  registry.add({.name = "Cast", .since = 6, .min_inputs = 1, .max_inputs = 1, .infer = infer_cast});
  registry.add({.name = "CastLike", .since = 15, .min_inputs = 2, .max_inputs = 2, .infer = infer_cast_like});
  registry.add({.name = "BitCast", .since = 26, .min_inputs = 1, .max_inputs = 1, .infer = infer_bit_cast});
}

}  // namespace sparse_run
