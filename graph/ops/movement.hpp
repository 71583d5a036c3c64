// The movement family's parts, one registration function per concept, and what their inference shares.
#pragma once

#include "graph/ops/geometry.hpp"
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/schema.hpp"

namespace sparse_run {

void register_reshape_ops(OpRegistry& registry);    ///< Reshape, Flatten, Squeeze, Unsqueeze, Shape, Size
void register_rearrange_ops(OpRegistry& registry);  ///< Transpose, Concat, Split, Expand, Tile, Trilu, ReverseSequence
void register_slice_pad_ops(OpRegistry& registry);  ///< Slice, Pad
void register_gather_scatter_ops(OpRegistry& registry);  ///< Gather*, Scatter*, TensorScatter, OneHot, Compress
void register_selection_ops(OpRegistry& registry);       ///< TopK, Unique, NonZero, NonMaxSuppression, Range

void register_feature_ops(OpRegistry& registry);  ///< TfIdfVectorizer; ai.onnx.ml: trees, labels, thresholds

/// The number of targets of a TreeEnsemble. Error(model) when its leaves name others.
std::int64_t tree_targets(const Node& node);

/// An operand that used to be an attribute: its value, if it is given at all, and whether it can be known yet.
struct MovedOperand {
  bool given = false;
  OptionalIntegers value;  ///< absent while `given`: known only at run time

  bool unknown() const noexcept { return given && !value; }
};

/// Attribute `name` up to opset `since` - 1, operand `index` from then on.
inline MovedOperand moved_operand(const InferContext& ctx, std::size_t index, std::string_view name, int since) {
  if (ctx.opset() < since) {
    const auto* attribute = ctx.node().find<std::vector<std::int64_t>>(name);
    return {attribute != nullptr, attribute ? OptionalIntegers(*attribute) : std::nullopt};
  }
  return {ctx.has_input(index), ctx.integers(index)};
}

/// A tensor's number of elements as operand `i` declares it for a list: its single dimension (a scalar counts as
/// one), unknown when not known. Error(model) for a higher rank.
inline std::int64_t list_length(const InferContext& ctx, std::size_t i) {
  const Shape* shape = ctx.shape(i);
  if (shape == nullptr) return kUnknownDim;
  if (shape->size() > 1) {
    throw_error(ErrorKind::model, "input {} must be a list, its shape is {}", i, to_string(*shape));
  }
  return shape->empty() ? 1 : shape->front();
}

/// Output `i` has operand 0's element type and the given shape.
inline void set_like_input(InferContext& ctx, std::size_t i, std::optional<Shape> shape) {
  ctx.set_tensor(i, ctx.dtype(0), std::move(shape));
}

}  // namespace sparse_run
