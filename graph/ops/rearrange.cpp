// Schemas and inference of operators that reorder, join, cut or repeat whole axes.
#include <algorithm>
#include <limits>

#include "graph/ops/movement.hpp"

namespace sparse_run {

namespace {

void infer_transpose(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  const auto* perm = ctx.node().find<std::vector<std::int64_t>>("perm");
  if (input == nullptr) {
    if (perm == nullptr) return set_like_input(ctx, 0, std::nullopt);
    return set_like_input(ctx, 0, Shape(perm->size(), kUnknownDim));
  }
  Shape result(input->rbegin(), input->rend());
  if (perm != nullptr) {
    if (perm->size() != input->size()) {
      throw_error(ErrorKind::model, "perm names {} axes, the input has {}", perm->size(), input->size());
    }
    const auto axes = distinct_axes(*perm, input->size());
    for (std::size_t i = 0; i < axes.size(); ++i) result[i] = (*input)[static_cast<std::size_t>(axes[i])];
  }
  set_like_input(ctx, 0, std::move(result));
}

void infer_concat(InferContext& ctx) {
  const std::int64_t axis = ctx.node().get<std::int64_t>("axis");
  std::optional<Shape> result;
  bool all_known = true;
  DType dtype = DType::undefined;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    if (dtype == DType::undefined) dtype = ctx.dtype(i);
    expect_same_dtype(ctx, 0, i);
    const Shape* shape = ctx.shape(i);
    if (shape == nullptr) {
      all_known = false;
      continue;
    }
    const auto joined = static_cast<std::size_t>(normalize_axis(axis, shape->size()));
    if (!result) {
      result = *shape;
      continue;
    }
    if (result->size() != shape->size()) {
      throw_error(ErrorKind::model, "inputs have ranks {} and {}", result->size(), shape->size());
    }
    for (std::size_t d = 0; d < shape->size(); ++d) {
      std::int64_t& dim = (*result)[d];
      dim = d == joined ? add_dims(dim, (*shape)[d], "the joined axis")
                        : expect_same_dim(dim, (*shape)[d], "dimensions of joined inputs");
    }
  }
  if (result && !all_known) (*result)[static_cast<std::size_t>(normalize_axis(axis, result->size()))] = kUnknownDim;
  ctx.set_tensor(0, dtype, std::move(result));
}

void infer_split(InferContext& ctx) {
  const std::size_t parts = ctx.node().outputs.size();
  const Shape* input = ctx.shape(0);
  const MovedOperand sizes = moved_operand(ctx, 1, "split", 13);
  if (const auto* count = ctx.opset() >= 18 ? ctx.node().find<std::int64_t>("num_outputs") : nullptr) {
    if (sizes.given) throw_error(ErrorKind::model, "both split sizes and num_outputs are given");
    if (*count != static_cast<std::int64_t>(parts)) {
      throw_error(ErrorKind::model, "num_outputs is {}, the node has {} outputs", *count, parts);
    }
  }
  if (input == nullptr) {
    for (std::size_t i = 0; i < parts; ++i) set_like_input(ctx, i, std::nullopt);
    return;
  }
  const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", 0), input->size()));
  const auto lengths = sizes.unknown() ? std::vector<std::int64_t>(parts, kUnknownDim)
                                       : split_sizes((*input)[axis], parts, sizes.value, ctx.opset() >= 18);
  for (std::size_t i = 0; i < parts; ++i) {
    Shape shape = *input;
    shape[axis] = lengths[i];
    set_like_input(ctx, i, std::move(shape));
  }
}

void infer_expand(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  const auto target = ctx.integers(1);
  if (target) {
    for (const std::int64_t dim : *target) {
      if (dim < 0) throw_error(ErrorKind::model, "the target shape has dimension {}", dim);
    }
    if (input != nullptr) {
      auto result = broadcast(*input, *target);
      if (!result) {
        throw_error(ErrorKind::model, "shape {} does not expand to {}", to_string(*input), to_string(*target));
      }
      return set_like_input(ctx, 0, std::move(result));
    }
  }
  const std::int64_t length = target ? static_cast<std::int64_t>(target->size()) : list_length(ctx, 1);
  if (input == nullptr || length == kUnknownDim) return set_like_input(ctx, 0, std::nullopt);
  set_like_input(ctx, 0, Shape(std::max(input->size(), static_cast<std::size_t>(length)), kUnknownDim));
}

void infer_tile(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  const auto repeats = ctx.integers(1);
  if (input == nullptr) {
    const std::int64_t length = repeats ? static_cast<std::int64_t>(repeats->size()) : list_length(ctx, 1);
    if (length == kUnknownDim) return set_like_input(ctx, 0, std::nullopt);
    return set_like_input(ctx, 0, Shape(static_cast<std::size_t>(length), kUnknownDim));
  }
  Shape result(input->size(), kUnknownDim);
  if (repeats) {
    if (repeats->size() != input->size()) {
      throw_error(ErrorKind::model, "{} repeats are given for {} axes", repeats->size(), input->size());
    }
    for (std::size_t i = 0; i < result.size(); ++i) {
      if ((*repeats)[i] < 0) throw_error(ErrorKind::model, "repeat count {} is negative", (*repeats)[i]);
      result[i] = multiply_dims((*input)[i], (*repeats)[i], "the tiled axis");
    }
  }
  set_like_input(ctx, 0, std::move(result));
}

void infer_trilu(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  if (input != nullptr && input->size() < 2) {
    throw_error(ErrorKind::model, "the input needs at least 2 axes, its shape is {}", to_string(*input));
  }
  set_like_input(ctx, 0, input ? std::optional(*input) : std::nullopt);
}

void infer_reverse_sequence(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  if (input == nullptr) return set_like_input(ctx, 0, std::nullopt);
  if (input->size() < 2) {
    throw_error(ErrorKind::model, "the input needs at least 2 axes, its shape is {}", to_string(*input));
  }
  const std::int64_t batch = normalize_axis(ctx.node().int_or("batch_axis", 1), input->size());
  const std::int64_t time = normalize_axis(ctx.node().int_or("time_axis", 0), input->size());
  if (batch + time != 1) throw_error(ErrorKind::model, "batch_axis and time_axis must be 0 and 1 in some order");
  expect_same_dim((*input)[static_cast<std::size_t>(batch)], list_length(ctx, 1), "batch size and number of lengths");
  set_like_input(ctx, 0, *input);
}

}  // namespace

void register_rearrange_ops(OpRegistry& registry) {
  registry.add({.name = "Transpose", .min_inputs = 1, .max_inputs = 1, .infer = infer_transpose});
  registry.add({.name = "Concat", .since = 4, .min_inputs = 1, .infer = infer_concat});
  registry.add(
      {.name = "Split", .since = 2, .min_inputs = 1, .max_inputs = 2, .max_outputs = kUnlimited, .infer = infer_split});
  registry.add({.name = "Expand", .since = 8, .min_inputs = 2, .max_inputs = 2, .infer = infer_expand});
  registry.add({.name = "Tile", .since = 6, .min_inputs = 2, .max_inputs = 2, .infer = infer_tile});
  registry.add({.name = "Trilu", .since = 14, .min_inputs = 1, .max_inputs = 2, .infer = infer_trilu});
  registry.add(
      {.name = "ReverseSequence", .since = 10, .min_inputs = 2, .max_inputs = 2, .infer = infer_reverse_sequence});
}

}  // namespace sparse_run
