// Schemas and inference of operators that change or report a shape and leave the elements in order.
#include <algorithm>

#include "graph/ops/movement.hpp"

namespace sparse_run {

namespace {

void infer_reshape(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  const bool allow_zero = ctx.node().int_or("allowzero", 0) != 0;
  if (const auto target = ctx.integers(1)) {
    if (input != nullptr) {
      set_like_input(ctx, 0, reshape_target(*input, *target, allow_zero));
    } else {
      Shape shape = *target;
      for (std::int64_t& dim : shape) {
        if (dim < 0 || (dim == 0 && !allow_zero)) dim = kUnknownDim;
      }
      set_like_input(ctx, 0, std::move(shape));
    }
    return;
  }
  const std::int64_t rank = list_length(ctx, 1);
  if (rank == kUnknownDim) return set_like_input(ctx, 0, std::nullopt);
  set_like_input(ctx, 0, Shape(static_cast<std::size_t>(rank), kUnknownDim));
}

void infer_flatten(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  if (input == nullptr) return set_like_input(ctx, 0, Shape{kUnknownDim, kUnknownDim});
  const std::int64_t given = ctx.node().int_or("axis", 1);
  const auto rank = static_cast<std::int64_t>(input->size());
  const std::int64_t axis = given < 0 ? given + rank : given;
  if (axis < 0 || axis > rank) throw_error(ErrorKind::model, "axis {} is outside [-{}, {}]", given, rank, rank);
  Shape result{1, 1};
  for (std::int64_t i = 0; i < rank; ++i) {
    std::int64_t& side = result[i < axis ? 0 : 1];
    side = multiply_dims(side, (*input)[static_cast<std::size_t>(i)], "the number of elements");
  }
  set_like_input(ctx, 0, std::move(result));
}

void infer_squeeze(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  const MovedOperand axes = moved_operand(ctx, 1, "axes", 13);
  if (input == nullptr) return set_like_input(ctx, 0, std::nullopt);
  std::vector<bool> removed(input->size(), false);
  if (axes.unknown()) {
    const std::int64_t count = list_length(ctx, 1);
    if (count == kUnknownDim || count > static_cast<std::int64_t>(input->size())) {
      return set_like_input(ctx, 0, std::nullopt);
    }
    return set_like_input(ctx, 0, Shape(input->size() - static_cast<std::size_t>(count), kUnknownDim));
  }
  if (axes.given) {
    for (const std::int64_t axis : distinct_axes(*axes.value, input->size())) {
      const std::int64_t dim = (*input)[static_cast<std::size_t>(axis)];
      if (dim != 1 && dim != kUnknownDim) {
        throw_error(ErrorKind::model, "axis {} has {} elements and cannot be squeezed", axis, dim);
      }
      removed[static_cast<std::size_t>(axis)] = true;
    }
  } else {
    for (std::size_t i = 0; i < input->size(); ++i) {
      if ((*input)[i] == kUnknownDim) return set_like_input(ctx, 0, std::nullopt);  // may or may not be removed
      removed[i] = (*input)[i] == 1;
    }
  }
  Shape result;
  for (std::size_t i = 0; i < input->size(); ++i) {
    if (!removed[i]) result.push_back((*input)[i]);
  }
  set_like_input(ctx, 0, std::move(result));
}

void infer_unsqueeze(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  const MovedOperand axes = moved_operand(ctx, 1, "axes", 13);
  if (!axes.given) throw_error(ErrorKind::model, "axes are missing");
  if (input == nullptr) return set_like_input(ctx, 0, std::nullopt);
  if (axes.unknown()) {
    const std::int64_t count = list_length(ctx, 1);
    if (count == kUnknownDim) return set_like_input(ctx, 0, std::nullopt);
    return set_like_input(ctx, 0, Shape(input->size() + static_cast<std::size_t>(count), kUnknownDim));
  }
  Shape result(input->size() + axes.value->size(), 1);
  auto next = input->begin();
  std::vector<bool> inserted(result.size(), false);
  for (const std::int64_t axis : distinct_axes(*axes.value, result.size())) {
    inserted[static_cast<std::size_t>(axis)] = true;
  }
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (!inserted[i]) result[i] = *next++;
  }
  set_like_input(ctx, 0, std::move(result));
}

void infer_shape(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  if (input == nullptr) return ctx.set_tensor(0, DType::i64, Shape{kUnknownDim});
  const auto [start, end] = shape_bounds(ctx.node(), input->size());
  ctx.set_tensor(0, DType::i64, Shape{end - start});
}

void infer_size(InferContext& ctx) { ctx.set_tensor(0, DType::i64, Shape{}); }

}  // namespace

std::pair<std::int64_t, std::int64_t> shape_bounds(const Node& node, std::size_t rank) {
  const auto limit = static_cast<std::int64_t>(rank);
  const auto bound = [&](const char* name, std::int64_t fallback) {
    std::int64_t value = node.opset >= 15 ? node.int_or(name, fallback) : fallback;
    if (value < 0) value += limit;
    return std::clamp<std::int64_t>(value, 0, limit);
  };
  const std::int64_t start = bound("start", 0);
  return {start, std::max(start, bound("end", limit))};
}

void register_reshape_ops(OpRegistry& registry) {
  registry.add({.name = "Reshape", .min_inputs = 2, .max_inputs = 2, .infer = infer_reshape});
  registry.add({.name = "Flatten", .min_inputs = 1, .max_inputs = 1, .infer = infer_flatten});
  registry.add({.name = "Squeeze", .min_inputs = 1, .max_inputs = 2, .infer = infer_squeeze});
  registry.add({.name = "Unsqueeze", .min_inputs = 1, .max_inputs = 2, .infer = infer_unsqueeze});
  registry.add({.name = "Shape", .min_inputs = 1, .max_inputs = 1, .infer = infer_shape});
  registry.add({.name = "Size", .min_inputs = 1, .max_inputs = 1, .infer = infer_size});
}

}  // namespace sparse_run
