// Schemas and inference of operators that read or write at computed positions.
#include <algorithm>

#include "graph/ops/movement.hpp"

namespace sparse_run {

namespace {

std::optional<Shape> copy_of(const Shape* shape) { return shape ? std::optional(*shape) : std::nullopt; }

void infer_gather(InferContext& ctx) {
  expect_dtype(ctx, 1, {DType::i64, DType::i32});
  const Shape* data = ctx.shape(0);
  const Shape* indices = ctx.shape(1);
  const std::int64_t given = ctx.node().int_or("axis", 0);
  if (data == nullptr) return set_like_input(ctx, 0, std::nullopt);
  const std::int64_t axis = normalize_axis(given, data->size());
  if (indices == nullptr) return set_like_input(ctx, 0, std::nullopt);
  Shape result(data->begin(), data->begin() + axis);
  result.insert(result.end(), indices->begin(), indices->end());
  result.insert(result.end(), data->begin() + axis + 1, data->end());
  set_like_input(ctx, 0, std::move(result));
}

// Every dimension of `part` but `axis` must not exceed the one of `whole`; ranks must agree.
void expect_within(const Shape& whole, const Shape& part, std::size_t axis, const char* what) {
  if (whole.size() != part.size()) {
    throw_error(ErrorKind::model, "{} has rank {}, the data has rank {}", what, part.size(), whole.size());
  }
  for (std::size_t d = 0; d < whole.size(); ++d) {
    if (d != axis && whole[d] != kUnknownDim && part[d] > whole[d]) {
      throw_error(ErrorKind::model, "{} has shape {}, which exceeds the data's {} along axis {}", what, to_string(part),
                  to_string(whole), d);
    }
  }
}

void infer_gather_elements(InferContext& ctx) {
  expect_dtype(ctx, 1, {DType::i64, DType::i32});
  const Shape* data = ctx.shape(0);
  const Shape* indices = ctx.shape(1);
  if (data != nullptr) {
    const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", 0), data->size()));
    if (indices != nullptr) expect_within(*data, *indices, axis, "the index tensor");
  }
  set_like_input(ctx, 0, copy_of(indices));
}

void infer_gather_nd(InferContext& ctx) {
  expect_dtype(ctx, 1, {DType::i64});
  const Shape* data = ctx.shape(0);
  const Shape* indices = ctx.shape(1);
  if (data == nullptr || indices == nullptr) return set_like_input(ctx, 0, std::nullopt);
  const std::int64_t batch = ctx.opset() >= 12 ? ctx.node().int_or("batch_dims", 0) : 0;
  const auto data_rank = static_cast<std::int64_t>(data->size());
  const auto index_rank = static_cast<std::int64_t>(indices->size());
  if (data_rank < 1 || index_rank < 1 || batch < 0 || batch >= std::min(data_rank, index_rank)) {
    throw_error(ErrorKind::model, "batch_dims {} does not fit data of rank {} and indices of rank {}", batch, data_rank,
                index_rank);
  }
  Shape result(indices->begin(), indices->end() - 1);
  for (std::int64_t d = 0; d < batch; ++d) {
    const auto at = static_cast<std::size_t>(d);
    result[at] = expect_same_dim((*data)[at], (*indices)[at], "batch dimensions of data and indices");
  }
  const std::int64_t depth = indices->back();
  if (depth == kUnknownDim) return set_like_input(ctx, 0, std::nullopt);
  if (depth < 1 || depth > data_rank - batch) {
    throw_error(ErrorKind::model, "index tuples have {} numbers, the data has {} axes to index", depth,
                data_rank - batch);
  }
  result.insert(result.end(), data->begin() + batch + depth, data->end());
  set_like_input(ctx, 0, std::move(result));
}

void expect_reduction(const InferContext& ctx, int add_mul_since, int min_max_since) {
  const std::string reduction = ctx.node().string_or("reduction", "none");
  const bool known = reduction == "none" ||
                     ((reduction == "add" || reduction == "mul") && ctx.opset() >= add_mul_since) ||
                     ((reduction == "min" || reduction == "max") && ctx.opset() >= min_max_since);
  if (!known) throw_error(ErrorKind::model, "reduction '{}' is not defined at opset {}", reduction, ctx.opset());
}

void infer_scatter_elements(InferContext& ctx) {
  expect_dtype(ctx, 1, {DType::i64, DType::i32});
  expect_same_dtype(ctx, 0, 2);
  expect_reduction(ctx, 16, 18);
  const Shape* data = ctx.shape(0);
  const Shape* indices = ctx.shape(1);
  const Shape* updates = ctx.shape(2);
  if (data != nullptr) {
    const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", 0), data->size()));
    if (indices != nullptr) expect_within(*data, *indices, axis, "the index tensor");
    if (updates != nullptr) expect_within(*data, *updates, axis, "the update tensor");
  }
  if (indices != nullptr && updates != nullptr) {
    if (indices->size() != updates->size()) throw_error(ErrorKind::model, "indices and updates differ in rank");
    for (std::size_t d = 0; d < indices->size(); ++d) {
      expect_same_dim((*indices)[d], (*updates)[d], "dimensions of indices and updates");
    }
  }
  set_like_input(ctx, 0, copy_of(data));
}

void infer_scatter_nd(InferContext& ctx) {
  expect_dtype(ctx, 1, {DType::i64});
  expect_same_dtype(ctx, 0, 2);
  expect_reduction(ctx, 16, 18);
  const Shape* data = ctx.shape(0);
  const Shape* indices = ctx.shape(1);
  const Shape* updates = ctx.shape(2);
  if (indices != nullptr && indices->empty()) throw_error(ErrorKind::model, "indices are a scalar");
  if (data != nullptr && indices != nullptr && indices->back() != kUnknownDim) {
    const std::int64_t depth = indices->back();
    if (depth < 1 || depth > static_cast<std::int64_t>(data->size())) {
      throw_error(ErrorKind::model, "index tuples have {} numbers, the data has {} axes", depth, data->size());
    }
    if (updates != nullptr) {
      Shape expected(indices->begin(), indices->end() - 1);
      expected.insert(expected.end(), data->begin() + depth, data->end());
      if (expected.size() != updates->size()) {
        throw_error(ErrorKind::model, "updates have shape {}, {} is needed", to_string(*updates), to_string(expected));
      }
      for (std::size_t d = 0; d < expected.size(); ++d) {
        expect_same_dim(expected[d], (*updates)[d], "dimensions of updates and what they replace");
      }
    }
  }
  set_like_input(ctx, 0, copy_of(data));
}

void infer_tensor_scatter(InferContext& ctx) {
  expect_same_dtype(ctx, 0, 1);
  if (ctx.has_input(2)) expect_dtype(ctx, 2, {DType::i64, DType::i32});
  const std::string mode = ctx.node().string_or("mode", "linear");
  if (mode != "linear" && mode != "circular") throw_error(ErrorKind::model, "mode '{}' is not defined", mode);
  const Shape* cache = ctx.shape(0);
  if (cache != nullptr) {
    const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", -2), cache->size()));
    if (axis == 0) throw_error(ErrorKind::model, "axis names the batch dimension");
    if (const Shape* update = ctx.shape(1)) {
      if (update->size() != cache->size()) throw_error(ErrorKind::model, "cache and update differ in rank");
      for (std::size_t d = 0; d < cache->size(); ++d) {
        if (d != axis) expect_same_dim((*cache)[d], (*update)[d], "dimensions of cache and update");
      }
      if ((*cache)[axis] != kUnknownDim && (*update)[axis] > (*cache)[axis]) {
        throw_error(ErrorKind::model, "an update of {} positions does not fit a cache of {}", (*update)[axis],
                    (*cache)[axis]);
      }
    }
    if (ctx.has_input(2)) expect_same_dim((*cache)[0], list_length(ctx, 2), "batch size and number of write indices");
  }
  set_like_input(ctx, 0, copy_of(cache));
}

void infer_one_hot(InferContext& ctx) {
  const DType dtype = ctx.dtype(2);
  if (const Shape* values = ctx.shape(2)) {
    if (values->size() != 1) throw_error(ErrorKind::model, "values must be the list [off, on]");
    expect_same_dim(values->front(), 2, "number of values and 2");
  }
  const Shape* indices = ctx.shape(0);
  if (indices == nullptr) return ctx.set_tensor(0, dtype);
  const std::int64_t axis = normalize_axis(ctx.node().int_or("axis", -1), indices->size() + 1);
  std::int64_t depth = kUnknownDim;
  if (const Tensor* value = ctx.constant(1)) {
    depth = integer_scalar(*value);
    if (depth < 0) throw_error(ErrorKind::model, "depth is {}", depth);
  }
  Shape result = *indices;
  result.insert(result.begin() + axis, depth);
  ctx.set_tensor(0, dtype, std::move(result));
}

void infer_compress(InferContext& ctx) {
  const Shape* input = ctx.shape(0);
  const auto* given = ctx.node().find<std::int64_t>("axis");
  expect_dtype(ctx, 1, {DType::boolean});
  list_length(ctx, 1);
  std::int64_t count = kUnknownDim;
  if (const Tensor* condition = ctx.constant(1)) {
    const auto flags = condition->data<bool>();
    count = std::count(flags.begin(), flags.end(), true);
  }
  if (given == nullptr) return set_like_input(ctx, 0, Shape{count});
  if (input == nullptr) return set_like_input(ctx, 0, std::nullopt);
  Shape result = *input;
  result[static_cast<std::size_t>(normalize_axis(*given, input->size()))] = count;
  set_like_input(ctx, 0, std::move(result));
}

}  // namespace

void register_gather_scatter_ops(OpRegistry& registry) {
  registry.add({.name = "Gather", .min_inputs = 2, .max_inputs = 2, .infer = infer_gather});
  registry.add(
      {.name = "GatherElements", .since = 11, .min_inputs = 2, .max_inputs = 2, .infer = infer_gather_elements});
  registry.add({.name = "GatherND", .since = 11, .min_inputs = 2, .max_inputs = 2, .infer = infer_gather_nd});
  registry.add({.name = "Scatter", .since = 9, .min_inputs = 3, .max_inputs = 3, .infer = infer_scatter_elements});
  registry.add(
      {.name = "ScatterElements", .since = 11, .min_inputs = 3, .max_inputs = 3, .infer = infer_scatter_elements});
  registry.add({.name = "ScatterND", .since = 11, .min_inputs = 3, .max_inputs = 3, .infer = infer_scatter_nd});
  registry.add({.name = "TensorScatter", .since = 24, .min_inputs = 2, .max_inputs = 3, .infer = infer_tensor_scatter});
  registry.add({.name = "OneHot", .since = 9, .min_inputs = 3, .max_inputs = 3, .infer = infer_one_hot});
  registry.add({.name = "Compress",
                .since = 9,
                .min_inputs = 2,
                .max_inputs = 2,
                .infer = infer_compress,
                .data_dependent = true});
}

}  // namespace sparse_run
