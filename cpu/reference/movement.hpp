// The movement family's reference kernels, one registration function per concept.
#pragma once

#include "cpu/reference/reference.hpp"

namespace sparse_run::reference {

void register_reshape(Table& table);      ///< Reshape, Flatten, Squeeze, Unsqueeze, Shape, Size
void register_rearrange(Table& table);    ///< Transpose, Concat, Split, Expand, Tile, Trilu, ReverseSequence
void register_slice_pad(Table& table);    ///< Slice, Pad
void register_gather(Table& table);       ///< Gather, GatherElements, GatherND, Compress, OneHot
void register_scatter(Table& table);      ///< Scatter, ScatterElements, ScatterND, TensorScatter
void register_selection(Table& table);    ///< TopK, Unique, NonZero, Range
void register_suppression(Table& table);  ///< NonMaxSuppression

void register_feature(Table& table);        ///< TfIdfVectorizer; ai.onnx.ml: LabelEncoder, Binarizer, …
void register_tree_ensemble(Table& table);  ///< TreeEnsemble

/// A list that was attribute `name` up to opset `since` - 1 and is operand `index` from then on; absent: not given.
inline std::optional<std::vector<std::int64_t>> moved_list(const Context& ctx, std::size_t index, std::string_view name,
                                                           int since) {
  if (ctx.opset() < since) {
    const auto* attribute = ctx.node().find<std::vector<std::int64_t>>(name);
    return attribute ? std::optional(*attribute) : std::nullopt;
  }
  return ctx.has_input(index) ? std::optional(ctx.input(index).to_int64()) : std::nullopt;
}

}  // namespace sparse_run::reference
