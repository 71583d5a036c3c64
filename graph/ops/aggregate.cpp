// SparseAggregate: attributes, definition of its elementwise functions, and type inference.
#include "graph/ops/aggregate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/ops/fused_activation.hpp"
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

namespace {

using Op = RowExpression::Op;
constexpr auto kLastOp = Op::tanh;

std::string_view name_of(Aggregate::Reduction reduction) {
  switch (reduction) {
    case Aggregate::Reduction::max:
      return "max";
    case Aggregate::Reduction::min:
      return "min";
    case Aggregate::Reduction::add:
      break;
  }
  return "add";
}

std::vector<std::int64_t> encoded(const RowExpression& expression) {
  std::vector<std::int64_t> code;
  for (const auto& step : expression.steps) {
    code.push_back(static_cast<std::int64_t>(step.op));
    code.push_back(step.argument);
  }
  return code;
}

/// Reads an expression and checks that it leaves one value on the stack and refers to what exists.
RowExpression decoded(const Node& node, std::string_view attribute, const Aggregate& aggregate, bool tail) {
  RowExpression expression;
  const auto code = node.ints_or(attribute);
  expression.numbers = node.floats_or(std::string(attribute) + "_numbers");
  const auto broken = [&] { throw_error(ErrorKind::model, "attribute {} is not a row expression", attribute); };
  if (code.size() % 2 != 0 || code.size() / 2 > RowExpression::kMaxSteps) broken();
  const auto number_count = static_cast<std::int64_t>(expression.numbers.size());
  std::int64_t depth = 0;
  for (std::size_t i = 0; i < code.size(); i += 2) {
    if (code[i] < 0 || code[i] > static_cast<std::int64_t>(kLastOp)) broken();
    const auto op = static_cast<Op>(code[i]);
    const std::int64_t argument = code[i + 1];
    if (op == Op::operand) {
      if (argument < 0 || argument >= static_cast<std::int64_t>(aggregate.roles.size())) broken();
      const std::int64_t role = aggregate.roles[static_cast<std::size_t>(argument)];
      const bool allowed = tail ? argument == 0 || role == Aggregate::per_node || role == Aggregate::fixed
                                : role >= 0 || role == Aggregate::per_edge || role == Aggregate::fixed;
      if (!allowed) broken();
    }
    const std::int64_t numbers_read = op == Op::clip ? 2 : op == Op::number || op == Op::leaky_relu ? 1 : 0;
    if (numbers_read > 0 && (argument < 0 || argument > number_count - numbers_read)) broken();
    depth += RowExpression::is_leaf(op) ? 1 : RowExpression::is_binary(op) ? -1 : 0;
    if (depth < 1) broken();
    expression.push(op, argument);
  }
  if (depth != 1 && !(tail && code.empty())) broken();
  return expression;
}

/// Error(model) unless the operand has `rows` rows of what its span says; unknown sizes pass.
void expect_rows(const InferContext& context, std::size_t i, std::int64_t rows, std::int64_t row_elements) {
  const Shape* shape = context.shape(i);
  if (shape == nullptr || !is_concrete(*shape) || rows < 0) return;
  if (row_elements != 0 && rows > std::numeric_limits<std::int64_t>::max() / row_elements) {
    throw_error(ErrorKind::limit, "{} rows of {} elements are too many", rows, row_elements);
  }
  if (element_count(*shape) != rows * row_elements) {
    throw_error(ErrorKind::model, "input {} of shape {} does not hold {} rows of {} elements", i, to_string(*shape),
                rows, row_elements);
  }
}

void infer_sparse_aggregate(InferContext& context) {
  const Aggregate aggregate = Aggregate::of(context.node());
  infer_aggregate_operands(context, aggregate);
  context.set_tensor(0, DType::f32, aggregate.shape);
}

}  // namespace

void infer_aggregate_operands(const InferContext& context, const Aggregate& aggregate) {
  std::int64_t edges = kUnknownDim;
  const auto count_of = [&](std::size_t i) {
    const Shape* shape = context.shape(i);
    return shape != nullptr && is_concrete(*shape) ? element_count(*shape) : kUnknownDim;
  };
  for (std::size_t i = 0; i < aggregate.roles.size(); ++i) {
    if (aggregate.roles[i] != Aggregate::index) continue;
    expect_dtype(context, i, {DType::i64, DType::i32});
    edges = expect_same_dim(edges, count_of(i), "lengths of index operands");
  }
  for (std::size_t i = 0; i < aggregate.roles.size(); ++i) {
    const std::int64_t role = aggregate.roles[i];
    if (role == Aggregate::index) continue;
    expect_dtype(context, i, {DType::f32});
    const std::int64_t row = aggregate.elements(aggregate.spans[i]);
    if (role == Aggregate::per_edge) expect_rows(context, i, edges, row);
    if (role == Aggregate::per_node) expect_rows(context, i, aggregate.nodes(), row);
    if (role == Aggregate::fixed) expect_rows(context, i, 1, row);
    if (role >= 0) {
      const Shape* shape = context.shape(i);
      if (shape != nullptr && shape->empty()) throw_error(ErrorKind::model, "input {} has no rows to gather", i);
      expect_rows(context, i, shape == nullptr ? kUnknownDim : (*shape)[0], row);
    }
  }
}

void RowExpression::push_number(float number) {
  push(Op::number, static_cast<std::int64_t>(numbers.size()));
  numbers.push_back(number);
}

double RowExpression::apply(const Step& step, double a, double b) const {
  using Kind = FusedActivation::Kind;
  const auto number = [&](std::int64_t offset) { return numbers[static_cast<std::size_t>(step.argument + offset)]; };
  const auto activation = [&](Kind kind, float p = 0, float q = 0) { return FusedActivation{kind, p, q}.apply(a); };
  switch (step.op) {
    case Op::operand:
    case Op::number:
      break;
    case Op::add:
      return a + b;
    case Op::sub:
      return a - b;
    case Op::mul:
      return a * b;
    case Op::div:
      return a / b;
    case Op::max:
      return a > b || a != a ? a : b;
    case Op::min:
      return a < b || a != a ? a : b;
    case Op::negate:
      return -a;
    case Op::absolute:
      return std::abs(a);
    case Op::exponential:
      return std::exp(a);
    case Op::root:
      return std::sqrt(a);
    case Op::reciprocal:
      return 1 / a;
    case Op::relu:
      return activation(Kind::relu);
    case Op::leaky_relu:
      return activation(Kind::leaky_relu, number(0));
    case Op::clip:
      return activation(Kind::clip, number(0), number(1));
    case Op::hard_swish:
      return activation(Kind::hard_swish);
    case Op::sigmoid:
      return activation(Kind::sigmoid);
    case Op::silu:
      return activation(Kind::silu);
    case Op::gelu:
      return activation(Kind::gelu);
    case Op::tanh:
      return activation(Kind::tanh);
  }
  throw Error(ErrorKind::internal, "a leaf of a row expression was applied");
}

RowSpan Aggregate::normalized(RowSpan span) const {
  if (heads == 1) span &= ~kHeads;
  if (width == 1) span &= ~kWidth;
  return span;
}

std::int64_t Aggregate::position(RowSpan span, std::int64_t i) const {
  const std::int64_t head = (span & kHeads) != 0 ? i / width : 0;
  return (span & kWidth) != 0 ? head * width + i % width : head;
}

float Aggregate::neutral() const {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  return reduction == Reduction::add ? 0 : reduction == Reduction::max ? -infinity : infinity;
}

Aggregate Aggregate::of(const Node& node) {
  Aggregate aggregate;
  aggregate.shape = node.get<std::vector<std::int64_t>>("shape");
  aggregate.heads = node.int_or("heads", 1);
  aggregate.width = node.int_or("width", 1);
  aggregate.initial = node.float_or("initial", 0);
  const std::string reduction = node.string_or("reduction", "add");
  for (const Reduction each : {Reduction::add, Reduction::max, Reduction::min}) {
    if (reduction == name_of(each)) aggregate.reduction = each;
  }
  if (reduction != name_of(aggregate.reduction))
    throw_error(ErrorKind::model, "reduction '{}' is not defined", reduction);
  if (aggregate.shape.empty() || !is_concrete(aggregate.shape) || aggregate.heads < 0 || aggregate.width < 0) {
    throw_error(ErrorKind::model, "the shape of the result is not given");
  }
  element_count(aggregate.shape);
  const std::int64_t row = element_count(std::span(aggregate.shape).subspan(1));
  if (element_count(Shape{aggregate.heads, aggregate.width}) != row) {
    throw_error(ErrorKind::model, "rows of {} elements are not {} heads of {}", row, aggregate.heads, aggregate.width);
  }
  aggregate.roles = node.ints_or("roles");
  const auto spans = node.ints_or("spans");
  const bool chained = node.is("AggregateChain", kInternalDomain);  // whose further operands are of its stages
  const std::size_t operands = chained ? std::min(spans.size(), node.inputs.size()) : node.inputs.size();
  if (aggregate.roles.size() != operands || spans.size() != operands || operands == 0 || aggregate.roles[0] != index) {
    throw_error(ErrorKind::model, "attributes roles and spans do not describe the operands");
  }
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const std::int64_t role = aggregate.roles[i];
    const bool gathers = role >= 0 && role < static_cast<std::int64_t>(spans.size()) &&
                         aggregate.roles[static_cast<std::size_t>(role)] == index;
    if (spans[i] < 0 || spans[i] > 3 || node.inputs[i] == kNoValue || (role >= 0 && !gathers) || role < fixed) {
      throw_error(ErrorKind::model, "attributes roles and spans do not describe operand {}", i);
    }
    aggregate.spans.push_back(aggregate.normalized(static_cast<RowSpan>(spans[i])));
  }
  aggregate.message = decoded(node, "message", aggregate, false);
  aggregate.tail = decoded(node, "tail", aggregate, true);
  return aggregate;
}

void Aggregate::store(Node& node) const {
  node.op = "SparseAggregate";
  node.domain = kInternalDomain;
  node.opset = 1;
  node.attributes.clear();
  node.attributes["shape"] = shape;
  node.attributes["heads"] = heads;
  node.attributes["width"] = width;
  node.attributes["reduction"] = std::string(name_of(reduction));
  node.attributes["initial"] = initial;
  node.attributes["roles"] = roles;
  node.attributes["spans"] = std::vector<std::int64_t>(spans.begin(), spans.end());
  node.attributes["message"] = encoded(message);
  node.attributes["message_numbers"] = message.numbers;
  node.attributes["tail"] = encoded(tail);
  node.attributes["tail_numbers"] = tail.numbers;
}

void register_aggregate_op(OpRegistry& registry) {
  registry.add({kInternalDomain, "SparseAggregate", 1, 1, kUnlimited, 1, 1, infer_sparse_aggregate});
}

}  // namespace sparse_run
