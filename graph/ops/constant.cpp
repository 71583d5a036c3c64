// Schemas and type inference: constants, tensors made from a shape, and Identity.
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

namespace {

/// No model has tensors of more dimensions than this; a longer shape operand is an attack or a mistake.
constexpr std::int64_t kMaxRank = 64;

void infer_constant(InferContext& context) {
  const Node& node = context.node();
  if (node.attributes.size() != 1) {
    throw_error(ErrorKind::model, "{} value attributes given, expected exactly one", node.attributes.size());
  }
  if (const auto* dense = node.find<Tensor>("value")) return context.set_tensor(0, dense->dtype(), dense->shape());
  if (const auto* sparse = node.find<SparseTensor>("sparse_value")) {
    return context.set_tensor(0, sparse->dtype(), sparse->shape);
  }
  const auto length = [](const auto& values) { return Shape{static_cast<std::int64_t>(values.size())}; };
  if (node.find<float>("value_float") != nullptr) return context.set_tensor(0, DType::f32, Shape{});
  if (node.find<std::int64_t>("value_int") != nullptr) return context.set_tensor(0, DType::i64, Shape{});
  if (node.find<std::string>("value_string") != nullptr) return context.set_tensor(0, DType::string, Shape{});
  if (const auto* v = node.find<std::vector<float>>("value_floats"))
    return context.set_tensor(0, DType::f32, length(*v));
  if (const auto* v = node.find<std::vector<std::int64_t>>("value_ints")) {
    return context.set_tensor(0, DType::i64, length(*v));
  }
  if (const auto* v = node.find<std::vector<std::string>>("value_strings")) {
    return context.set_tensor(0, DType::string, length(*v));
  }
  throw_error(ErrorKind::model, "attribute '{}' is not one of Constant's", node.attributes.begin()->first);
}

void infer_constant_of_shape(InferContext& context) {
  expect_dtype(context, 0, kIndex);
  DType dtype = DType::f32;
  if (const auto* value = context.node().find<Tensor>("value")) {
    if (value->size() != 1) {
      throw_error(ErrorKind::model, "attribute 'value' has {} elements, expected one", value->size());
    }
    require_kernels_for(value->dtype());
    dtype = value->dtype();
  }
  const Shape* operand = context.shape(0);
  if (operand != nullptr && operand->size() != 1) {
    throw_error(ErrorKind::model, "input 0 must be a vector of dimensions, it has shape {}", to_string(*operand));
  }
  if (operand != nullptr && (*operand)[0] > kMaxRank) {
    throw_error(ErrorKind::limit, "input 0 asks for a tensor of {} dimensions, the limit is {}", (*operand)[0],
                kMaxRank);
  }
  if (const auto dims = context.integers(0)) {
    for (const std::int64_t dim : *dims) {
      if (dim < 0) throw_error(ErrorKind::model, "input 0 asks for a dimension of {}", dim);
    }
    return context.set_tensor(0, dtype, Shape(dims->begin(), dims->end()));
  }
  if (operand != nullptr && (*operand)[0] >= 0) {
    return context.set_tensor(0, dtype, Shape(static_cast<std::size_t>((*operand)[0]), kUnknownDim));
  }
  context.set_tensor(0, dtype);
}

void infer_eye_like(InferContext& context) {
  const DType dtype = dtype_attribute(context.node(), "dtype", expect_dtype(context, 0, kNumericOrBoolean));
  if (dtype != DType::undefined && !kNumericOrBoolean.contains(dtype)) {
    throw_error(ErrorKind::model, "attribute 'dtype' is {}, expected {}", to_string(dtype), kNumericOrBoolean.name);
  }
  const Shape* shape = context.shape(0);
  if (shape != nullptr && shape->size() != 2) {
    throw_error(ErrorKind::model, "input 0 must be a matrix, it has shape {}", to_string(*shape));
  }
  context.set_tensor(0, dtype, shape != nullptr ? *shape : Shape{kUnknownDim, kUnknownDim});
}

void infer_identity(InferContext& context) { context.set_output(0, context.input(0)); }

}  // namespace

void register_constant_ops(OpRegistry& registry) {
  registry.add({.name = "Constant", .since = 1, .min_inputs = 0, .max_inputs = 0, .infer = infer_constant});
  registry.add(
      {.name = "ConstantOfShape", .since = 9, .min_inputs = 1, .max_inputs = 1, .infer = infer_constant_of_shape});
  registry.add({.name = "EyeLike", .since = 9, .min_inputs = 1, .max_inputs = 1, .infer = infer_eye_like});
  registry.add({.name = "Identity", .since = 1, .min_inputs = 1, .max_inputs = 1, .infer = infer_identity});
}

}  // namespace sparse_run
