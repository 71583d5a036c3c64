// Schemas and inference of feature extraction: n-grams, and the part of ai.onnx.ml that networks and trees need.
#include <algorithm>

#include "graph/ops/movement.hpp"

namespace sparse_run {

namespace {

constexpr std::string_view kMl = "ai.onnx.ml";

void infer_tf_idf(InferContext& ctx) {
  expect_dtype(ctx, 0, {DType::string, DType::i32, DType::i64});
  const auto& indexes = ctx.node().get<std::vector<std::int64_t>>("ngram_indexes");
  std::int64_t width = 0;
  for (const std::int64_t index : indexes) {
    if (index < 0 || index >= (std::int64_t{1} << 28)) throw_error(ErrorKind::model, "ngram_indexes has {}", index);
    width = std::max(width, index + 1);
  }
  const Shape* input = ctx.shape(0);
  if (input == nullptr) return ctx.set_tensor(0, DType::f32);
  if (input->empty() || input->size() > 2) {
    throw_error(ErrorKind::model, "the input must be a list or a matrix, its shape is {}", to_string(*input));
  }
  ctx.set_tensor(0, DType::f32, input->size() == 1 ? Shape{width} : Shape{input->front(), width});
}

void infer_array_feature_extractor(InferContext& ctx) {
  expect_dtype(ctx, 1, {DType::i64});
  const Shape* input = ctx.shape(0);
  const Shape* indices = ctx.shape(1);
  if (input == nullptr || indices == nullptr) return set_like_input(ctx, 0, std::nullopt);
  if (input->empty()) throw_error(ErrorKind::model, "the input is a scalar");
  Shape result = input->size() == 1 ? Shape{1, 0} : *input;
  result.back() = is_concrete(*indices) ? element_count(*indices) : kUnknownDim;
  set_like_input(ctx, 0, std::move(result));
}

void infer_binarizer(InferContext& ctx) {
  expect_dtype(ctx, 0, {DType::f32, DType::f64, DType::i32, DType::i64});
  set_like_input(ctx, 0, ctx.input(0).shape);
}

void infer_label_encoder(InferContext& ctx) {
  DType dtype = DType::undefined;
  if (const auto* values = ctx.node().find<Tensor>("values_tensor")) dtype = values->dtype();
  if (ctx.node().has("values_strings")) dtype = DType::string;
  if (ctx.node().has("values_int64s")) dtype = DType::i64;
  if (ctx.node().has("values_floats")) dtype = DType::f32;
  if (dtype == DType::undefined) throw_error(ErrorKind::model, "no values_* attribute is given");
  ctx.set_tensor(0, dtype, ctx.input(0).shape);
}

void infer_tree_ensemble(InferContext& ctx) {
  expect_float(ctx, 0);
  const Shape* input = expect_rank(ctx, 0, 2);
  const std::int64_t targets = tree_targets(ctx.node());
  set_like_input(ctx, 0, Shape{input != nullptr ? input->front() : kUnknownDim, targets});
}

}  // namespace

std::int64_t tree_targets(const Node& node) {
  const auto& ids = node.get<std::vector<std::int64_t>>("leaf_targetids");
  std::int64_t needed = 0;
  for (const std::int64_t id : ids) {
    if (id < 0 || id >= (std::int64_t{1} << 24)) throw_error(ErrorKind::model, "leaf_targetids has {}", id);
    needed = std::max(needed, id + 1);
  }
  const std::int64_t targets = node.int_or("n_targets", needed);
  if (targets < needed) throw_error(ErrorKind::model, "n_targets is {}, a leaf names target {}", targets, needed - 1);
  return targets;
}

void register_feature_ops(OpRegistry& registry) {
  registry.add({.name = "TfIdfVectorizer", .since = 9, .min_inputs = 1, .max_inputs = 1, .infer = infer_tf_idf});
  registry.add({.domain = kMl,
                .name = "ArrayFeatureExtractor",
                .min_inputs = 2,
                .max_inputs = 2,
                .infer = infer_array_feature_extractor});
  registry.add({.domain = kMl, .name = "Binarizer", .min_inputs = 1, .max_inputs = 1, .infer = infer_binarizer});
  registry.add({.domain = kMl,
                .name = "LabelEncoder",
                .since = 2,
                .min_inputs = 1,
                .max_inputs = 1,
                .infer = infer_label_encoder});
  registry.add({.domain = kMl,
                .name = "TreeEnsemble",
                .since = 5,
                .min_inputs = 1,
                .max_inputs = 1,
                .infer = infer_tree_ensemble});
}

}  // namespace sparse_run
