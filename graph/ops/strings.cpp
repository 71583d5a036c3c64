// Schemas and type inference: operators on strings.
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

namespace {

void infer_string_concat(InferContext& context) {
  context.set_tensor(0, expect_same_dtype(context, 0, 2, kString), broadcast_operands(context, 0, 2));
}

/// How many words stay is known only once they are read: the kernel allocates.
void infer_string_normalizer(InferContext& context) {
  const DType dtype = expect_dtype(context, 0, kString);
  const std::string action = context.node().string_or("case_change_action", "NONE");
  if (action != "NONE" && action != "LOWER" && action != "UPPER") {
    throw_error(ErrorKind::model, "attribute 'case_change_action' is '{}', expected NONE, LOWER or UPPER", action);
  }
  const Shape* shape = context.shape(0);
  if (shape == nullptr) return context.set_tensor(0, dtype);
  const bool fits = shape->size() == 1 || (shape->size() == 2 && ((*shape)[0] == 1 || (*shape)[0] == kUnknownDim));
  if (!fits) throw_error(ErrorKind::model, "input 0 has shape {}, expected C or 1xC", to_string(*shape));
  Shape result = *shape;
  result.back() = kUnknownDim;
  context.set_tensor(0, dtype, std::move(result));
}

void infer_string_split(InferContext& context) {
  const DType dtype = expect_dtype(context, 0, kString);
  std::optional<Shape> pieces = context.input(0).shape;
  if (pieces) pieces->push_back(kUnknownDim);
  context.set_tensor(0, dtype, std::move(pieces));
  context.set_tensor(1, DType::i64, context.input(0).shape);
}

}  // namespace

void register_string_ops(OpRegistry& registry) {
  registry.add({.name = "StringConcat", .since = 20, .min_inputs = 2, .max_inputs = 2, .infer = infer_string_concat});
  registry.add({.name = "StringNormalizer",
                .since = 10,
                .min_inputs = 1,
                .max_inputs = 1,
                .infer = infer_string_normalizer,
                .data_dependent = true});
  registry.add({.name = "StringSplit",
                .since = 20,
                .min_inputs = 1,
                .max_inputs = 1,
                .min_outputs = 1,
                .max_outputs = 2,
                .infer = infer_string_split,
                .data_dependent = true});
}

}  // namespace sparse_run
