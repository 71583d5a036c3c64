// Schemas and inference of Slice and Pad.
#include "graph/ops/movement.hpp"

namespace sparse_run {

namespace {

void infer_slice(InferContext& ctx) {
  if (ctx.opset() >= 10 && ctx.input_count() < 3) throw_error(ErrorKind::model, "starts and ends are missing");
  const Shape* input = ctx.shape(0);
  const MovedOperand starts = moved_operand(ctx, 1, "starts", 10);
  const MovedOperand ends = moved_operand(ctx, 2, "ends", 10);
  const MovedOperand axes = moved_operand(ctx, 3, "axes", 10);
  const MovedOperand steps = ctx.opset() < 10 ? MovedOperand{} : MovedOperand{ctx.has_input(4), ctx.integers(4)};
  if (!starts.given || !ends.given) throw_error(ErrorKind::model, "starts or ends are missing");
  if (input == nullptr) return set_like_input(ctx, 0, std::nullopt);
  if (starts.value && ends.value && !axes.unknown() && !steps.unknown()) {
    Shape result;
    for (const SliceRange& range : slice_ranges(*input, *starts.value, *ends.value, axes.value, steps.value)) {
      result.push_back(range.count);
    }
    return set_like_input(ctx, 0, std::move(result));
  }
  // Only the sliced axes are open; without a list of axes those are the first ones.
  Shape result(input->size(), kUnknownDim);
  if (axes.value) {
    result = *input;
    for (const std::int64_t axis : distinct_axes(*axes.value, input->size())) {
      result[static_cast<std::size_t>(axis)] = kUnknownDim;
    }
  } else if (!axes.given) {
    std::int64_t count = kUnknownDim;
    for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
      if (ctx.has_input(i)) count = expect_same_dim(count, list_length(ctx, i), "numbers of starts and ends");
    }
    if (count != kUnknownDim) {
      for (std::size_t i = static_cast<std::size_t>(count); i < input->size(); ++i) result[i] = (*input)[i];
    }
  }
  set_like_input(ctx, 0, std::move(result));
}

void infer_pad(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  const MovedOperand pads = moved_operand(ctx, 1, "pads", 11);
  if (!pads.given) throw_error(ErrorKind::model, "pads are missing");
  const std::string mode = ctx.node().string_or("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && (mode != "wrap" || ctx.opset() < 19)) {
    throw_error(ErrorKind::model, "padding mode '{}' is not defined at opset {}", mode, ctx.opset());
  }
  if (ctx.has_input(2)) expect_same_dtype(ctx, 0, 2);
  const MovedOperand axes = ctx.opset() < 18 ? MovedOperand{} : MovedOperand{ctx.has_input(3), ctx.integers(3)};
  if (input == nullptr) return set_like_input(ctx, 0, std::nullopt);
  if (pads.unknown() || axes.unknown()) {
    Shape result(input->size(), kUnknownDim);
    if (axes.value) {
      result = *input;
      for (const std::int64_t axis : distinct_axes(*axes.value, input->size())) {
        result[static_cast<std::size_t>(axis)] = kUnknownDim;
      }
    }
    return set_like_input(ctx, 0, std::move(result));
  }
  const Padding padding = padding_of(input->size(), *pads.value, axes.value);
  Shape result(input->size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    const std::int64_t dim = (*input)[i];
    if (dim == kUnknownDim) {
      result[i] = kUnknownDim;
      continue;
    }
    std::int64_t size = 0;
    if (__builtin_add_overflow(dim, padding.before[i], &size) ||
        __builtin_add_overflow(size, padding.after[i], &size)) {
      throw_error(ErrorKind::limit, "padding {} and {} of axis {} is too large", padding.before[i], padding.after[i],
                  i);
    }
    if (size < 0) {
      throw_error(ErrorKind::model, "padding {} and {} removes more than the {} elements of axis {}", padding.before[i],
                  padding.after[i], dim, i);
    }
    if (mode != "constant" && dim == 0 && size > 0) {
      throw_error(ErrorKind::model, "axis {} has no elements to pad with in mode '{}'", i, mode);
    }
    result[i] = size;
  }
  set_like_input(ctx, 0, std::move(result));
}

}  // namespace

void register_slice_pad_ops(OpRegistry& registry) {
  registry.add({.name = "Slice", .min_inputs = 1, .max_inputs = 5, .infer = infer_slice});
  registry.add({.name = "Pad", .since = 2, .min_inputs = 1, .max_inputs = 4, .infer = infer_pad});
}

}  // namespace sparse_run
