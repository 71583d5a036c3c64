// Schemas and inference of operators that sort, search or enumerate.
#include "graph/ops/movement.hpp"

namespace sparse_run {

namespace {

void infer_top_k(InferContext& ctx) {
  std::int64_t k = kUnknownDim;
  if (ctx.opset() < 10) {
    k = ctx.node().get<std::int64_t>("k");
    if (k < 0) throw_error(ErrorKind::model, "k is {}", k);
  } else {
    if (!ctx.has_input(1)) throw_error(ErrorKind::model, "k is missing");
    if (const Tensor* value = ctx.constant(1)) {
      k = integer_scalar(*value);
      if (k < 0) throw_error(ErrorKind::model, "k is {}", k);
    }
  }
  const Shape* input = ctx.shape(0);
  std::optional<Shape> shape;
  if (input != nullptr) {
    const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", -1), input->size()));
    if ((*input)[axis] != kUnknownDim && k > (*input)[axis]) {
      throw_error(ErrorKind::model, "k is {}, the axis has {} elements", k, (*input)[axis]);
    }
    shape = *input;
    (*shape)[axis] = k;
  }
  set_like_input(ctx, 0, shape);
  ctx.set_tensor(1, DType::i64, shape);
}

void infer_non_zero(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  const std::int64_t rank = input == nullptr ? kUnknownDim
                            : input->empty() ? 1
                                             : static_cast<std::int64_t>(input->size());
  ctx.set_tensor(0, DType::i64, Shape{rank, kUnknownDim});
}

void infer_unique(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  Shape inverse{kUnknownDim};
  if (const auto* given = ctx.node().find<std::int64_t>("axis")) {
    if (input != nullptr) {
      const auto axis = static_cast<std::size_t>(normalize_axis(*given, input->size()));
      Shape result = *input;
      inverse[0] = result[axis];
      result[axis] = kUnknownDim;
      set_like_input(ctx, 0, std::move(result));
    } else {
      set_like_input(ctx, 0, std::nullopt);
    }
  } else {
    set_like_input(ctx, 0, Shape{kUnknownDim});
    if (input != nullptr && is_concrete(*input)) inverse[0] = element_count(*input);
  }
  ctx.set_tensor(1, DType::i64, Shape{kUnknownDim});
  ctx.set_tensor(2, DType::i64, std::move(inverse));
  ctx.set_tensor(3, DType::i64, Shape{kUnknownDim});
}

void infer_non_max_suppression(InferContext& ctx) {
  for (const std::size_t i : {0u, 1u, 3u, 4u}) {
    if (ctx.has_input(i)) expect_dtype(ctx, i, {DType::f32});
  }
  const Shape* boxes = ctx.shape(0);
  const Shape* scores = ctx.shape(1);
  if (boxes != nullptr) {
    if (boxes->size() != 3) throw_error(ErrorKind::model, "boxes have shape {}, not [batch, n, 4]", to_string(*boxes));
    expect_same_dim(boxes->back(), 4, "coordinates per box and 4");
  }
  if (scores != nullptr && scores->size() != 3) {
    throw_error(ErrorKind::model, "scores have shape {}, not [batch, classes, n]", to_string(*scores));
  }
  if (boxes != nullptr && scores != nullptr) {
    expect_same_dim((*boxes)[0], (*scores)[0], "batch sizes of boxes and scores");
    expect_same_dim((*boxes)[1], (*scores)[2], "numbers of boxes and scores");
  }
  ctx.set_tensor(0, DType::i64, Shape{kUnknownDim, 3});
}

void infer_range(InferContext& ctx) {
  expect_same_dtype(ctx, 0, 1);
  expect_same_dtype(ctx, 0, 2);
  const Tensor* start = ctx.constant(0);
  const Tensor* limit = ctx.constant(1);
  const Tensor* delta = ctx.constant(2);
  const bool known = start != nullptr && limit != nullptr && delta != nullptr;
  set_like_input(ctx, 0, Shape{known ? range_length(*start, *limit, *delta) : kUnknownDim});
}

}  // namespace

void register_selection_ops(OpRegistry& registry) {
  registry.add({.name = "TopK", .min_inputs = 1, .max_inputs = 2, .max_outputs = 2, .infer = infer_top_k});
  registry.add({.name = "NonZero",
                .since = 9,
                .min_inputs = 1,
                .max_inputs = 1,
                .infer = infer_non_zero,
                .data_dependent = true});
  registry.add({.name = "Unique",
                .since = 11,
                .min_inputs = 1,
                .max_inputs = 1,
                .max_outputs = 4,
                .infer = infer_unique,
                .data_dependent = true});
  registry.add({.name = "NonMaxSuppression",
                .since = 10,
                .min_inputs = 2,
                .max_inputs = 5,
                .infer = infer_non_max_suppression,
                .data_dependent = true});
  registry.add({.name = "Range", .since = 11, .min_inputs = 3, .max_inputs = 3, .infer = infer_range});
}

}  // namespace sparse_run
