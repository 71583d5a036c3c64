// Schemas and type inference: losses of training graphs.
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

namespace {

/// Scores [N, C, d…] and labels [N, d…] give a loss per label, or a scalar.
void infer_loss(InferContext& context) {
  const Node& node = context.node();
  const DType dtype = expect_dtype(context, 0, kFloat);
  expect_dtype(context, 1, kIndex);
  const std::string reduction = node.string_or("reduction", "mean");
  if (reduction != "none" && reduction != "sum" && reduction != "mean") {
    throw_error(ErrorKind::model, "attribute 'reduction' is '{}', expected none, sum or mean", reduction);
  }
  const Shape* scores = context.shape(0);
  const Shape* labels = context.shape(1);
  std::optional<Shape> per_label = context.input(1).shape;
  if (scores != nullptr) {
    if (scores->size() < 2) {
      throw_error(ErrorKind::model, "input 0 has shape {}, expected NxC or NxCx…", to_string(*scores));
    }
    Shape expected = *scores;
    expected.erase(expected.begin() + 1);
    bool fits = labels == nullptr || labels->size() == expected.size();
    for (std::size_t d = 0; fits && labels != nullptr && d < expected.size(); ++d) {
      const std::int64_t label = (*labels)[d];
      if (expected[d] == kUnknownDim) expected[d] = label;
      fits = label == kUnknownDim || label == expected[d];
    }
    if (!fits) {
      throw_error(ErrorKind::model, "scores of shape {} do not fit labels of shape {}", to_string(*scores),
                  to_string(*labels));
    }
    per_label = expected;
  }
  if (context.has_input(2)) {
    expect_dtype(context, 2, kFloat);
    expect_vector(context, 2, scores == nullptr ? kUnknownDim : (*scores)[1]);
  }
  context.set_tensor(0, dtype, reduction == "none" ? per_label : Shape{});
  context.set_tensor(1, dtype, context.input(0).shape);
}

}  // namespace

void register_loss_ops(OpRegistry& registry) {
  registry.add({.name = "SoftmaxCrossEntropyLoss",
                .since = 12,
                .min_inputs = 2,
                .max_inputs = 3,
                .max_outputs = 2,
                .infer = infer_loss});
  registry.add(
      {.name = "NegativeLogLikelihoodLoss", .since = 12, .min_inputs = 2, .max_inputs = 3, .infer = infer_loss});
}

}  // namespace sparse_run
