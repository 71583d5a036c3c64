// Schemas and type inference: batch, layer, RMS, group, instance, Lp, mean-variance and local response normalisation.
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

namespace {

/// The shape of operand 0 when its rank is known; Error(model) when that rank is below `least`.
const Shape* shape_of_rank(const InferContext& context, std::size_t least) {
  const Shape* shape = context.shape(0);
  if (shape != nullptr && shape->size() < least) {
    throw_error(ErrorKind::model, "input 0 has shape {}, expected at least {} dimensions", to_string(*shape), least);
  }
  return shape;
}

/// Statistics of a channel come as vectors of its length: operands [first, last).
void expect_channels(const InferContext& context, std::size_t first, std::size_t last) {
  const Shape* shape = shape_of_rank(context, 1);
  // A tensor of one dimension has a single channel.
  const std::int64_t channels = shape == nullptr ? kUnknownDim : (shape->size() > 1 ? (*shape)[1] : 1);
  for (std::size_t i = first; i < last; ++i) {
    expect_dtype(context, i, kFloat);
    expect_vector(context, i, channels);
  }
}

void infer_batch_normalization(InferContext& context) {
  const Node& node = context.node();
  const DType dtype = expect_dtype(context, 0, kFloat);
  expect_channels(context, 1, 5);
  if (node.opset < 9 && node.int_or("spatial", 1) == 0) {
    throw_error(ErrorKind::unsupported, "attribute 'spatial' = 0 is not supported");
  }
  const bool training = node.opset >= 14 && node.int_or("training_mode", 0) != 0;
  for (std::size_t i = 1; !training && i < node.outputs.size(); ++i) {
    if (!context.has_output(i)) continue;
    if (node.opset < 14) {
      throw_error(ErrorKind::unsupported, "output {} belongs to training, which opset {} does not define precisely", i,
                  node.opset);
    }
    throw_error(ErrorKind::model, "output {} exists in training mode only", i);
  }
  context.set_tensor(0, dtype, context.input(0).shape);
  context.set_tensor(1, context.dtype(3), context.input(3).shape);
  context.set_tensor(2, context.dtype(4), context.input(4).shape);
}

void infer_instance_normalization(InferContext& context) {
  const DType dtype = expect_same_dtype(context, 0, 3, kFloat);
  shape_of_rank(context, 3);
  expect_channels(context, 1, 3);
  context.set_tensor(0, dtype, context.input(0).shape);
}

/// Scale and bias have one element per group at opset 18 and one per channel from 21 on.
void infer_group_normalization(InferContext& context) {
  const DType dtype = expect_same_dtype(context, 0, 3, kFloat);
  const std::int64_t groups = context.node().get<std::int64_t>("num_groups");
  if (groups < 1) throw_error(ErrorKind::model, "attribute 'num_groups' is {}", groups);
  const Shape* shape = shape_of_rank(context, 2);
  const std::int64_t channels = shape == nullptr ? kUnknownDim : (*shape)[1];
  if (channels != kUnknownDim && channels % groups != 0) {
    throw_error(ErrorKind::model, "{} channels do not divide into {} groups", channels, groups);
  }
  for (std::size_t i = 1; i < 3; ++i) expect_vector(context, i, context.opset() < 21 ? groups : channels);
  context.set_tensor(0, dtype, context.input(0).shape);
}

void infer_layer_normalization(InferContext& context) {
  const Node& node = context.node();
  const DType dtype = expect_same_dtype(context, 0, context.input_count(), kFloat);
  const DType stash = dtype_attribute(node, "stash_type", DType::f32);
  if (!is_float(stash)) {
    throw_error(ErrorKind::model, "attribute 'stash_type' is {}, expected {}", to_string(stash), kFloat.name);
  }
  const Shape* shape = context.shape(0);
  if (shape == nullptr) {
    context.set_tensor(0, dtype);
    context.set_tensor(1, stash);
    return context.set_tensor(2, stash);
  }
  const std::int64_t axis = normalize_axis(node.int_or("axis", -1), shape->size());
  for (std::size_t i = 1; i < context.input_count(); ++i) {
    if (context.has_input(i)) expect_broadcast_to(context, i, *shape);
  }
  Shape statistics = *shape;
  for (auto d = static_cast<std::size_t>(axis); d < statistics.size(); ++d) statistics[d] = 1;
  context.set_tensor(0, dtype, *shape);
  context.set_tensor(1, stash, statistics);
  context.set_tensor(2, stash, std::move(statistics));
}

/// The result has the scale's element type.
void infer_rms_normalization(InferContext& context) {
  expect_dtype(context, 0, kFloat);
  const DType dtype = expect_dtype(context, 1, kFloat);
  if (const Shape* shape = context.shape(0)) {
    normalize_axis(context.node().int_or("axis", -1), shape->size());
    expect_broadcast_to(context, 1, *shape);
  }
  context.set_tensor(0, dtype, context.input(0).shape);
}

void infer_mean_variance_normalization(InferContext& context) {
  if (const Shape* shape = context.shape(0)) {
    normalize_axes(context.node().ints_or("axes", {0, 2, 3}), shape->size());
  }
  infer_like_input(context, kFloat);
}

void infer_lp_normalization(InferContext& context) {
  const std::int64_t p = context.node().int_or("p", 2);
  if (p != 1 && p != 2) throw_error(ErrorKind::model, "attribute 'p' is {}, expected 1 or 2", p);
  if (const Shape* shape = context.shape(0)) normalize_axis(context.node().int_or("axis", -1), shape->size());
  infer_like_input(context, kFloat);
}

void infer_lrn(InferContext& context) {
  const std::int64_t size = context.node().get<std::int64_t>("size");
  if (size < 1) throw_error(ErrorKind::model, "attribute 'size' is {}, expected at least 1", size);
  shape_of_rank(context, 2);
  infer_like_input(context, kFloat);
}

}  // namespace

void register_normalization_ops(OpRegistry& registry) {
  registry.add({.name = "BatchNormalization",
                .since = 7,
                .min_inputs = 5,
                .max_inputs = 5,
                .max_outputs = 5,
                .infer = infer_batch_normalization});
  registry.add({.name = "BatchNormalization",
                .since = 14,
                .min_inputs = 5,
                .max_inputs = 5,
                .max_outputs = 3,
                .infer = infer_batch_normalization});
  registry.add({.name = "InstanceNormalization",
                .since = 6,
                .min_inputs = 3,
                .max_inputs = 3,
                .infer = infer_instance_normalization});
  registry.add({.name = "GroupNormalization",
                .since = 18,
                .min_inputs = 3,
                .max_inputs = 3,
                .infer = infer_group_normalization});
  registry.add({.name = "LayerNormalization",
                .since = 17,
                .min_inputs = 2,
                .max_inputs = 3,
                .max_outputs = 3,
                .infer = infer_layer_normalization});
  registry.add(
      {.name = "RMSNormalization", .since = 23, .min_inputs = 2, .max_inputs = 2, .infer = infer_rms_normalization});
  registry.add({.name = "MeanVarianceNormalization",
                .since = 9,
                .min_inputs = 1,
                .max_inputs = 1,
                .infer = infer_mean_variance_normalization});
  registry.add(
      {.name = "LpNormalization", .since = 1, .min_inputs = 1, .max_inputs = 1, .infer = infer_lp_normalization});
  registry.add({.name = "LRN", .since = 1, .min_inputs = 1, .max_inputs = 1, .infer = infer_lrn});
}

}  // namespace sparse_run
