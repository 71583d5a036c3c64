// Schemas and type inference: conversions between real numbers and linear quantisation.
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

namespace {

constexpr DTypeClass kQuantized{
    [](DType d) { return d == DType::u8 || d == DType::i8 || d == DType::u16 || d == DType::i16; },
    "u8, i8, u16 or i16"};
constexpr DTypeClass kDequantizable{[](DType d) { return kQuantized.contains(d) || d == DType::i32; },
                                    "u8, i8, u16, i16 or i32"};
constexpr DTypeClass kQuantizable{[](DType d) { return is_float(d) || d == DType::i32; },
                                  "a floating point type or i32"};

/// Scale (operand 1) and zero point (operand 2) fit the data (operand 0) per tensor, per axis or per block.
void expect_granularity(InferContext& context) {
  const Shape* scale = context.shape(1);
  const Shape* zero = context.has_input(2) ? context.shape(2) : nullptr;
  const std::int64_t block = context.node().int_or("block_size", 0);
  if (block < 0) throw_error(ErrorKind::model, "attribute 'block_size' is {}", block);
  if (scale != nullptr && zero != nullptr && is_concrete(*scale) && is_concrete(*zero) && *scale != *zero &&
      !(element_count(*scale) == 1 && element_count(*zero) == 1)) {
    throw_error(ErrorKind::model, "scale and zero point have shapes {} and {}, they must be equal", to_string(*scale),
                to_string(*zero));
  }
  const Shape* data = context.shape(0);
  if (data == nullptr || scale == nullptr || !is_concrete(*data) || !is_concrete(*scale)) return;
  if (scale->size() <= 1 && element_count(*scale) == 1 && block == 0) return;
  const auto axis = static_cast<std::size_t>(normalize_axis(context.node().int_or("axis", 1), data->size()));
  Shape expected;
  if (block == 0) {
    expected = {(*data)[axis]};
  } else {
    expected = *data;
    expected[axis] = expected[axis] / block + (expected[axis] % block != 0);
  }
  if (*scale != expected) {
    throw_error(ErrorKind::model, "the scale of data of shape {} along axis {} has shape {}, expected {}",
                to_string(*data), axis, to_string(*scale), to_string(expected));
  }
}

void infer_quantize(InferContext& context) {
  expect_dtype(context, 0, kQuantizable);
  expect_dtype(context, 1, kQuantizable);
  DType dtype = dtype_attribute(context.node(), "output_dtype", DType::undefined);
  const bool named = dtype != DType::undefined;
  if (context.has_input(2)) {
    const DType zero = expect_dtype(context, 2, kQuantized);
    if (named && zero != DType::undefined && zero != dtype) {
      throw_error(ErrorKind::model, "attribute 'output_dtype' is {}, the zero point is {}", to_string(dtype),
                  to_string(zero));
    }
    if (!named) dtype = zero;
  } else if (!named) {
    dtype = DType::u8;
  }
  if (dtype != DType::undefined && !kQuantized.contains(dtype)) {
    throw_error(ErrorKind::unsupported, "quantisation to {} is not supported", to_string(dtype));
  }
  const DType precision = dtype_attribute(context.node(), "precision", DType::f32);
  if (!is_float(precision)) {
    throw_error(ErrorKind::model, "attribute 'precision' is {}, expected {}", to_string(precision), kFloat.name);
  }
  expect_granularity(context);
  context.set_tensor(0, dtype, context.input(0).shape);
}

void infer_dequantize(InferContext& context) {
  expect_dtype(context, 0, kDequantizable);
  if (context.has_input(2)) {
    const DType dtype = expect_dtype(context, 0, kDequantizable);
    const DType zero = expect_dtype(context, 2, kDequantizable);
    if (dtype != DType::undefined && zero != DType::undefined && dtype != zero) {
      throw_error(ErrorKind::model, "data is {}, the zero point is {}", to_string(dtype), to_string(zero));
    }
  }
  const DType scale = expect_dtype(context, 1, kFloat);
  const DType dtype = dtype_attribute(context.node(), "output_dtype", scale);
  if (dtype != DType::undefined && !is_float(dtype)) {
    throw_error(ErrorKind::model, "attribute 'output_dtype' is {}, expected {}", to_string(dtype), kFloat.name);
  }
  expect_granularity(context);
  context.set_tensor(0, dtype, context.input(0).shape);
}

void infer_dynamic_quantize(InferContext& context) {
  constexpr DTypeClass kSingle{[](DType d) { return d == DType::f32; }, "f32"};
  expect_dtype(context, 0, kSingle);
  context.set_tensor(0, DType::u8, context.input(0).shape);
  context.set_tensor(1, DType::f32, Shape{});
  context.set_tensor(2, DType::u8, Shape{});
}

}  // namespace

void register_quantization_ops(OpRegistry& registry) {
  registry.add({.name = "QuantizeLinear", .since = 10, .min_inputs = 2, .max_inputs = 3, .infer = infer_quantize});
  registry.add({.name = "DequantizeLinear", .since = 10, .min_inputs = 2, .max_inputs = 3, .infer = infer_dequantize});
  registry.add({.name = "DynamicQuantizeLinear",
                .since = 11,
                .min_inputs = 1,
                .max_inputs = 1,
                .min_outputs = 3,
                .max_outputs = 3,
                .infer = infer_dynamic_quantize});
}

}  // namespace sparse_run
