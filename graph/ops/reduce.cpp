// Schemas and type inference: Reduce*, ArgMax, ArgMin.
#include "graph/ops/reduce.hpp"

#include <algorithm>
#include <numeric>

#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

bool axes_are_operand(const Node& node) { return node.opset >= (node.op == "ReduceSum" ? 13 : 18); }

std::vector<std::int64_t> reduced_axes(const Node& node, std::optional<std::vector<std::int64_t>> operand,
                                       std::size_t rank) {
  std::vector<std::int64_t> axes;
  if (axes_are_operand(node)) {
    if (operand) axes = std::move(*operand);
  } else {
    axes = node.ints_or("axes");
  }
  if (!axes.empty()) return normalize_axes(std::move(axes), rank);
  if (axes_are_operand(node) && node.int_or("noop_with_empty_axes", 0) != 0) return {};
  axes.resize(rank);
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

namespace {

Shape reduce_shape(const Shape& shape, const std::vector<std::int64_t>& axes, bool keep) {
  Shape result;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (!std::binary_search(axes.begin(), axes.end(), static_cast<std::int64_t>(d))) {
      result.push_back(shape[d]);
    } else if (keep) {
      result.push_back(1);
    }
  }
  return result;
}

template <const DTypeClass& Accepted>
void infer_reduce(InferContext& context) {
  const DType dtype = expect_dtype(context, 0, Accepted);
  const Node& node = context.node();
  const bool keep = node.int_or("keepdims", 1) != 0;
  const Shape* shape = context.shape(0);
  std::optional<std::vector<std::int64_t>> operand;
  bool known = true;
  std::int64_t operand_length = kUnknownDim;
  if (axes_are_operand(node) && context.has_input(1)) {
    expect_dtype(context, 1, kIndex);
    expect_vector(context, 1, kUnknownDim);
    operand = context.integers(1);
    if (const Shape* axes_shape = context.shape(1)) operand_length = (*axes_shape)[0];
    known = operand.has_value() || operand_length == 0;
  } else if (!axes_are_operand(node) && context.has_input(1)) {
    throw_error(ErrorKind::model, "axes are an attribute at opset {}, not an input", node.opset);
  }
  if (shape == nullptr) return context.set_tensor(0, dtype);
  if (known)
    return context.set_tensor(0, dtype, reduce_shape(*shape, reduced_axes(node, operand, shape->size()), keep));
  if (keep) return context.set_tensor(0, dtype, Shape(shape->size(), kUnknownDim));
  if (operand_length > 0 && operand_length <= static_cast<std::int64_t>(shape->size())) {
    return context.set_tensor(0, dtype, Shape(shape->size() - static_cast<std::size_t>(operand_length), kUnknownDim));
  }
  context.set_tensor(0, dtype);
}

void infer_arg(InferContext& context) {
  expect_dtype(context, 0, kNumeric);
  const Node& node = context.node();
  const Shape* shape = context.shape(0);
  if (shape == nullptr) return context.set_tensor(0, DType::i64);
  const std::int64_t axis = normalize_axis(node.int_or("axis", 0), shape->size());
  context.set_tensor(0, DType::i64, reduce_shape(*shape, {axis}, node.int_or("keepdims", 1) != 0));
}

}  // namespace

void register_reduce_ops(OpRegistry& registry) {
  for (const std::string_view name : {"ReduceSum", "ReduceMean", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
                                      "ReduceLogSumExp", "ReduceSumSquare"}) {
    registry.add({.name = name, .since = 1, .min_inputs = 1, .max_inputs = 2, .infer = infer_reduce<kNumeric>});
  }
  for (const std::string_view name : {"ReduceMax", "ReduceMin"}) {
    registry.add(
        {.name = name, .since = 1, .min_inputs = 1, .max_inputs = 2, .infer = infer_reduce<kNumericOrBoolean>});
  }
  for (const std::string_view name : {"ArgMax", "ArgMin"}) {
    registry.add({.name = name, .since = 1, .min_inputs = 1, .max_inputs = 1, .infer = infer_arg});
  }
}

}  // namespace sparse_run
