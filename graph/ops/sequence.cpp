// Schemas and inference of sequences and optionals.
#include "graph/ops/control.hpp"
#include "graph/ops/geometry.hpp"
#include "graph/ops/operand_rules.hpp"

namespace sparse_run {

namespace {

bool says_nothing(const Type& type) {
  return type.kind == ValueKind::tensor && type.dtype == DType::undefined && !type.shape;
}

// The type of a sequence's elements; unknown when nothing is known of the operand.
Type element_of(const InferContext& ctx, std::size_t i) {
  const Type& type = ctx.input(i);
  if (type.kind == ValueKind::sequence) return type.element ? *type.element : Type{};
  if (says_nothing(type)) return {};
  throw_error(ErrorKind::model, "input {} must be a sequence, it is {}", i, to_string(type));
}

// What both are; one of which nothing is known does not widen the other's element type.
Type join(const Type& a, const Type& b) {
  if (a.kind == ValueKind::tensor && b.kind == ValueKind::tensor) {
    if (a.dtype != DType::undefined && b.dtype != DType::undefined && a.dtype != b.dtype) {
      throw_error(ErrorKind::model, "a sequence of {} cannot hold {}", to_string(a), to_string(b));
    }
    Type result = generalize(a, b);
    result.dtype = a.dtype == DType::undefined ? b.dtype : a.dtype;
    return result;
  }
  return generalize(a, b);
}

void expect_tensor(const InferContext& ctx, std::size_t i) {
  const Type& type = ctx.input(i);
  if (type.kind != ValueKind::tensor) {
    throw_error(ErrorKind::model, "input {} must be a tensor, it is {}", i, to_string(type));
  }
}

void expect_position(const InferContext& ctx, std::size_t i) {
  if (!ctx.has_input(i)) return;
  expect_tensor(ctx, i);
  expect_dtype(ctx, i, {DType::i64, DType::i32});
  const Shape* shape = ctx.shape(i);
  if (shape != nullptr && is_concrete(*shape) && element_count(*shape) != 1) {
    throw_error(ErrorKind::model, "the position must be one number, its shape is {}", to_string(*shape));
  }
}

void infer_construct(InferContext& ctx) {
  Type element = ctx.input(0);
  for (std::size_t i = 1; i < ctx.input_count(); ++i) element = join(element, ctx.input(i));
  ctx.set_output(0, Type::sequence(std::move(element)));
}

void infer_empty(InferContext& ctx) {
  const auto dtype = static_cast<DType>(ctx.node().int_or("dtype", static_cast<std::int64_t>(DType::f32)));
  ctx.set_output(0, Type::sequence(Type::tensor(dtype)));
}

void infer_insert(InferContext& ctx) {
  expect_tensor(ctx, 1);
  expect_position(ctx, 2);
  const Type held = element_of(ctx, 0);
  ctx.set_output(0, Type::sequence(says_nothing(held) ? Type::tensor(ctx.input(1).dtype) : join(held, ctx.input(1))));
}

void infer_erase(InferContext& ctx) {
  expect_position(ctx, 1);
  ctx.set_output(0, Type::sequence(element_of(ctx, 0)));
}

void infer_at(InferContext& ctx) {
  expect_position(ctx, 1);
  ctx.set_output(0, element_of(ctx, 0));
}

void infer_length(InferContext& ctx) {
  element_of(ctx, 0);
  ctx.set_tensor(0, DType::i64, Shape{});
}

void infer_map(InferContext& ctx) {
  const Graph& body = *ctx.node().get<GraphPtr>("body");
  if (body.inputs().size() != ctx.input_count() || body.outputs().size() < ctx.node().outputs.size()) {
    throw_error(ErrorKind::model, "the body has {} inputs and {} outputs, the node {} and {}", body.inputs().size(),
                body.outputs().size(), ctx.input_count(), ctx.node().outputs.size());
  }
  std::vector<Type> inputs{element_of(ctx, 0)};
  for (std::size_t i = 1; i < ctx.input_count(); ++i) {
    inputs.push_back(ctx.input(i).kind == ValueKind::sequence ? element_of(ctx, i) : ctx.input(i));
  }
  const std::vector<Type> outputs = ctx.infer_body("body", inputs);
  for (std::size_t i = 0; i < ctx.node().outputs.size(); ++i) ctx.set_output(i, Type::sequence(outputs[i]));
}

void infer_split_to_sequence(InferContext& ctx) {
  Type element = Type::tensor(ctx.dtype(0));
  if (const Shape* input = ctx.shape(0)) {
    const std::int64_t axis = normalize_axis(ctx.node().int_or("axis", 0), input->size());
    element.shape = *input;
    std::int64_t& dim = (*element.shape)[static_cast<std::size_t>(axis)];
    if (ctx.has_input(1)) {
      dim = kUnknownDim;
    } else if (ctx.node().int_or("keepdims", 1) != 0) {
      dim = 1;
    } else {
      element.shape->erase(element.shape->begin() + axis);
    }
  }
  if (ctx.has_input(1)) expect_dtype(ctx, 1, {DType::i64, DType::i32});
  ctx.set_output(0, Type::sequence(std::move(element)));
}

void infer_concat_from_sequence(InferContext& ctx) {
  const Type element = element_of(ctx, 0);
  const std::int64_t given = ctx.node().get<std::int64_t>("axis");
  const bool new_axis = ctx.node().int_or("new_axis", 0) != 0;
  if (!element.shape) return ctx.set_tensor(0, element.dtype);
  Shape shape = *element.shape;
  const std::int64_t axis = normalize_axis(given, shape.size() + (new_axis ? 1 : 0));
  if (new_axis) {
    shape.insert(shape.begin() + axis, kUnknownDim);
  } else {
    shape[static_cast<std::size_t>(axis)] = kUnknownDim;
  }
  ctx.set_tensor(0, element.dtype, std::move(shape));
}

void infer_optional(InferContext& ctx) {
  if (ctx.has_input(0)) return ctx.set_output(0, Type::optional(ctx.input(0)));
  const Type* declared = ctx.node().find<Type>("type");
  if (declared == nullptr) throw_error(ErrorKind::model, "neither an input nor the type attribute is given");
  ctx.set_output(0, Type::optional(*declared));
}

void infer_has_element(InferContext& ctx) {
  if (!ctx.has_input(0) && ctx.opset() < 18) throw_error(ErrorKind::model, "the input is missing");
  ctx.set_tensor(0, DType::boolean, Shape{});
}

void infer_get_element(InferContext& ctx) {
  const Type& type = ctx.input(0);
  if (type.kind != ValueKind::optional) return ctx.set_output(0, type);
  ctx.set_output(0, type.element ? *type.element : Type{});
}

}  // namespace

void register_sequence_ops(OpRegistry& registry) {
  registry.add({.name = "SequenceConstruct", .since = 11, .min_inputs = 1, .infer = infer_construct});
  registry.add({.name = "SequenceEmpty", .since = 11, .max_inputs = 0, .infer = infer_empty});
  registry.add({.name = "SequenceInsert", .since = 11, .min_inputs = 2, .max_inputs = 3, .infer = infer_insert});
  registry.add({.name = "SequenceErase", .since = 11, .min_inputs = 1, .max_inputs = 2, .infer = infer_erase});
  registry.add(
      {.name = "SequenceAt", .since = 11, .min_inputs = 2, .max_inputs = 2, .infer = infer_at, .data_dependent = true});
  registry.add({.name = "SequenceLength", .since = 11, .min_inputs = 1, .max_inputs = 1, .infer = infer_length});
  registry.add({.name = "SequenceMap",
                .since = 17,
                .min_inputs = 1,
                .max_outputs = kUnlimited,
                .infer = infer_map,
                .data_dependent = true});
  registry.add({.name = "SplitToSequence",
                .since = 11,
                .min_inputs = 1,
                .max_inputs = 2,
                .infer = infer_split_to_sequence,
                .data_dependent = true});
  registry.add({.name = "ConcatFromSequence",
                .since = 11,
                .min_inputs = 1,
                .max_inputs = 1,
                .infer = infer_concat_from_sequence,
                .data_dependent = true});
  registry.add({.name = "Optional", .since = 15, .max_inputs = 1, .infer = infer_optional});
  registry.add({.name = "OptionalHasElement", .since = 15, .max_inputs = 1, .infer = infer_has_element});
  registry.add(
      {.name = "OptionalGetElement", .since = 15, .min_inputs = 1, .max_inputs = 1, .infer = infer_get_element});
}

}  // namespace sparse_run
