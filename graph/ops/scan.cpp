// Schemas and type inference: running sums and products, the softmax family.
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/reduce.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

std::int64_t softmax_axis(const Node& node, std::size_t rank) {
  if (node.opset >= 13) return normalize_axis(node.int_or("axis", -1), rank);
  const std::int64_t axis = node.int_or("axis", 1);
  return axis == static_cast<std::int64_t>(rank) ? axis : normalize_axis(axis, rank);
}

namespace {

void infer_running(InferContext& context) {
  const DType dtype = expect_dtype(context, 0, kNumeric);
  expect_dtype(context, 1, kIndex);
  const Shape* axis_shape = context.shape(1);
  if (axis_shape != nullptr && !axis_shape->empty() && *axis_shape != Shape{1} && *axis_shape != Shape{kUnknownDim}) {
    throw_error(ErrorKind::model, "input 1 (axis) must be a scalar, it has shape {}", to_string(*axis_shape));
  }
  const Shape* shape = context.shape(0);
  const auto axis = context.integers(1);
  if (shape != nullptr && axis) {
    if (axis->size() != 1) throw_error(ErrorKind::model, "input 1 (axis) must be a scalar");
    normalize_axis((*axis)[0], shape->size());
  }
  context.set_tensor(0, dtype, context.input(0).shape);
}

void infer_softmax(InferContext& context) {
  if (const Shape* shape = context.shape(0)) softmax_axis(context.node(), shape->size());
  infer_like_input(context, kFloat);
}

}  // namespace

void register_scan_ops(OpRegistry& registry) {
  registry.add({.name = "CumSum", .since = 11, .min_inputs = 2, .max_inputs = 2, .infer = infer_running});
  registry.add({.name = "CumProd", .since = 26, .min_inputs = 2, .max_inputs = 2, .infer = infer_running});
  for (const std::string_view name : {"Softmax", "LogSoftmax", "Hardmax"}) {
    registry.add({.name = name, .since = 1, .min_inputs = 1, .max_inputs = 1, .infer = infer_softmax});
  }
}

}  // namespace sparse_run
