// Reading of row computations: shapes are concrete here, so broadcasting is decided by looking at them.
#include "graph/passes/row_space.hpp"

#include <algorithm>
#include <cmath>

#include "graph/passes/fuse.hpp"
#include "graph/passes/match.hpp"

namespace sparse_run {

namespace {

using Op = RowExpression::Op;

constexpr int kNodeOperations = 8;  // taken into a tail beside what follows the sum
constexpr int kMessageNodes = 28;   // with an operand for each and one more, expressions stay below kMaxSteps
constexpr int kSearchDepth = 24;
constexpr std::size_t kMostReaders = 64;  // followed from one value

bool is_concrete_f32(const GraphBuilder& graph, ValueId id) {
  return id != kNoValue && type_of(graph, id).is_concrete() && type_of(graph, id).dtype == DType::f32;
}

const Shape& shape_of(const GraphBuilder& graph, ValueId id) { return *type_of(graph, id).shape; }

bool only_reshapes(const Node& node) {
  return node.is("Reshape") || node.is("Unsqueeze") || node.is("Squeeze") || node.is("Flatten") || node.is("Identity");
}

std::span<const std::int64_t> row_dims(const Shape& shape) { return std::span(shape).subspan(1); }

bool all_ones(std::span<const std::int64_t> dims) {
  return std::ranges::all_of(dims, [](std::int64_t dim) { return dim == 1; });
}

/// Elements of a head when `operand` repeats within rows `result` by heads or within them; both without dimension 0.
std::optional<std::int64_t> split_of(std::span<const std::int64_t> operand, std::span<const std::int64_t> result) {
  for (std::size_t split = 1; split < result.size(); ++split) {
    const auto same = [&](std::size_t begin, std::size_t end) {
      return std::ranges::equal(operand.subspan(begin, end - begin), result.subspan(begin, end - begin));
    };
    const auto ones = [&](std::size_t begin, std::size_t end) { return all_ones(operand.subspan(begin, end - begin)); };
    if ((same(0, split) && ones(split, result.size())) || (ones(0, split) && same(split, result.size()))) {
      return element_count(result.subspan(split));
    }
  }
  return std::nullopt;
}

/// The axis of a node, not negative, over operand 0.
std::int64_t axis_of(const GraphBuilder& graph, const Node& node, std::int64_t fallback) {
  return normalize_axis(node.int_or("axis", fallback), shape_of(graph, node.inputs[0]).size());
}

/// The same row number in every column of a constant [rows, …] of integers.
template <class T>
std::optional<Tensor> first_column(const Tensor& indices, std::int64_t rows) {
  const std::int64_t columns = rows == 0 ? 1 : indices.size() / rows;
  const auto elements = indices.data<T>();
  std::vector<T> column;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto begin = elements.begin() + row * columns;
    if (std::any_of(begin, begin + columns, [&](T element) { return element != *begin; })) return std::nullopt;
    column.push_back(*begin);
  }
  return Tensor::of<T>({rows}, column);
}

}  // namespace

std::optional<float> uniform_of(const GraphBuilder& graph, ValueId id) {
  while (id != kNoValue) {
    if (const Tensor* tensor = constant_of(graph, id)) {
      if (tensor->dtype() != DType::f32 || tensor->size() == 0) return std::nullopt;
      const auto elements = tensor->data<float>();
      const bool equal = std::ranges::all_of(elements, [&](float element) { return element == elements[0]; });
      return equal ? std::optional(elements[0]) : std::nullopt;
    }
    const Node* node = producer_of(graph, id);
    if (node == nullptr || !is_concrete_f32(graph, id)) return std::nullopt;
    if (node->is("ConstantOfShape")) {
      const Tensor* value = node->find<Tensor>("value");
      if (value == nullptr) return 0.0f;
      return value->dtype() == DType::f32 && value->size() == 1 ? std::optional(value->data<float>()[0]) : std::nullopt;
    }
    if (!node->is("Expand") && !only_reshapes(*node)) return std::nullopt;
    id = node->inputs[0];
  }
  return std::nullopt;
}

ValueId without_reshapes(const GraphBuilder& graph, ValueId id) {
  for (const Node* node = producer_of(graph, id); node != nullptr && only_reshapes(*node);
       node = producer_of(graph, id)) {
    id = node->inputs[0];
  }
  return id;
}

std::optional<Shape> padded_to(const Shape& shape, std::size_t rank) {
  if (shape.size() > rank) return std::nullopt;
  Shape padded(rank - shape.size(), 1);
  padded.insert(padded.end(), shape.begin(), shape.end());
  return padded;
}

std::optional<std::int64_t> head_width(const GraphBuilder& graph, ValueId id, std::int64_t row_elements) {
  std::vector<ValueId> pending = {id};
  for (int visited = 0; !pending.empty() && visited < kSearchDepth; ++visited) {
    const ValueId value = pending.back();
    pending.pop_back();
    const Node* node = producer_of(graph, value);
    std::vector<float> numbers;
    if (node == nullptr || !is_concrete_f32(graph, value)) continue;
    const bool elementwise = row_operation(graph, *node, numbers).has_value();
    if (!elementwise && !node->is("Expand") && !only_reshapes(*node)) continue;
    const Shape& result = shape_of(graph, value);
    if (result.empty() || element_count(row_dims(result)) != row_elements) continue;
    const std::size_t operands = elementwise ? std::min<std::size_t>(2, node->inputs.size()) : 1;
    for (std::size_t i = 0; i < operands; ++i) {
      const ValueId operand = node->inputs[i];
      if (!is_concrete_f32(graph, operand)) continue;
      if (!only_reshapes(*node)) {
        const auto padded = padded_to(shape_of(graph, operand), result.size());
        if (padded && *padded != result) {
          if (const auto width = split_of(row_dims(*padded), row_dims(result))) return width;
        }
      }
      pending.push_back(operand);
    }
  }
  return std::nullopt;
}

std::optional<RowExpression::Step> row_operation(const GraphBuilder& graph, const Node& node,
                                                 std::vector<float>& numbers) {
  if (!node.domain.empty() || node.outputs.size() != 1 || node.inputs.empty()) return std::nullopt;
  struct Plain {
    std::string_view name;
    Op op;
  };
  static constexpr Plain kUnary[] = {
      {"Neg", Op::negate}, {"Abs", Op::absolute},          {"Exp", Op::exponential},      {"Sqrt", Op::root},
      {"Relu", Op::relu},  {"Reciprocal", Op::reciprocal}, {"HardSwish", Op::hard_swish}, {"Sigmoid", Op::sigmoid},
      {"Tanh", Op::tanh}};
  static constexpr Plain kBinary[] = {{"Add", Op::add}, {"Sub", Op::sub}, {"Mul", Op::mul}, {"Div", Op::div},
                                      {"Max", Op::max}, {"Min", Op::min}, {"Sum", Op::add}};
  for (const Plain& plain : kUnary) {
    if (node.op == plain.name) return RowExpression::Step{plain.op};
  }
  for (const Plain& plain : kBinary) {
    if (node.op == plain.name)
      return node.inputs.size() == 2 ? std::optional(RowExpression::Step{plain.op}) : std::nullopt;
  }
  const auto activation = activation_of(graph, node);
  if (!activation) return std::nullopt;
  const auto at = static_cast<std::int64_t>(numbers.size());
  switch (activation->kind) {
    case FusedActivation::Kind::gelu:
      return RowExpression::Step{Op::gelu};
    case FusedActivation::Kind::silu:
      return RowExpression::Step{Op::silu};
    case FusedActivation::Kind::leaky_relu:
      numbers.push_back(activation->a);
      return RowExpression::Step{Op::leaky_relu, at};
    case FusedActivation::Kind::clip:
      numbers.push_back(activation->a);
      numbers.push_back(activation->b);
      return RowExpression::Step{Op::clip, at};
    default:
      return std::nullopt;
  }
}

std::optional<ValueId> row_index(GraphBuilder& graph, ValueId indices, std::int64_t rows) {
  for (;;) {
    const Type& type = type_of(graph, indices);
    if (!type.is_concrete() || (type.dtype != DType::i64 && type.dtype != DType::i32)) return std::nullopt;
    if (element_count(*type.shape) == rows) return without_reshapes(graph, indices);
    if (type.shape->empty() || (*type.shape)[0] != rows) return std::nullopt;
    if (const Tensor* constant = constant_of(graph, indices)) {
      auto column = type.dtype == DType::i64 ? first_column<std::int64_t>(*constant, rows)
                                             : first_column<std::int32_t>(*constant, rows);
      if (!column) return std::nullopt;
      return graph.add_constant("", std::move(*column));
    }
    const Node* node = producer_of(graph, indices);
    if (node == nullptr) return std::nullopt;
    const bool repeats = node->is("Expand") || node->is("Tile");
    if (!repeats && !only_reshapes(*node)) return std::nullopt;
    const Type& source = type_of(graph, node->inputs[0]);
    if (!source.is_concrete()) return std::nullopt;
    if (repeats) {
      // repeated along other dimensions than the rows', which it has itself
      const auto padded = padded_to(*source.shape, type.shape->size());
      if (!padded || (*padded)[0] != rows) return std::nullopt;
      for (std::size_t d = 1; d < padded->size(); ++d) {
        if ((*padded)[d] != 1 && (*padded)[d] != (*type.shape)[d]) return std::nullopt;
      }
    }
    indices = node->inputs[0];
  }
}

RowReader::RowReader(const GraphBuilder& graph, Aggregate& aggregate, ValueId targets, std::int64_t edges)
    : graph_(graph), aggregate_(aggregate), edges_(edges), budget_(kMessageNodes), node_budget_(kNodeOperations) {
  add_operand(targets, Aggregate::index, 0);
}

RowReader::Mark RowReader::mark(const RowExpression& expression) const {
  return {operands_.size(), expression.steps.size(), expression.numbers.size(), budget_};
}

void RowReader::reset(RowExpression& expression, const Mark& mark) {
  operands_.resize(mark.operands);
  aggregate_.roles.resize(mark.operands);
  aggregate_.spans.resize(mark.operands);
  expression.steps.resize(mark.steps);
  expression.numbers.resize(mark.numbers);
  budget_ = mark.budget;
}

std::int64_t RowReader::add_operand(ValueId id, std::int64_t role, RowSpan span) {
  for (std::size_t i = 0; i < operands_.size(); ++i) {
    if (operands_[i] == id && aggregate_.roles[i] == role && aggregate_.spans[i] == span) {
      return static_cast<std::int64_t>(i);
    }
  }
  operands_.push_back(id);
  aggregate_.roles.push_back(role);
  aggregate_.spans.push_back(span);
  return static_cast<std::int64_t>(operands_.size()) - 1;
}

void RowReader::read_message(ValueId id) { append(id, aggregate_.full()); }

/// `id` has shape [edges, …] and the parts of a row that `span` says.
void RowReader::append(ValueId id, RowSpan span) {
  RowExpression& message = aggregate_.message;
  if (const auto number = uniform_of(graph_, id)) return message.push_number(*number);
  const Node* node = producer_of(graph_, id);
  if (node != nullptr && budget_ > 0 && !graph_.is_output(id)) {
    const Mark before = mark(message);
    --budget_;
    if (append_computed(*node, id, span)) return;
    reset(message, before);
  }
  message.push(Op::operand, add_operand(id, Aggregate::per_edge, span));
}

/// True when all that reads a value computes rows that are scattered in the end: then nothing is left to store it for.
bool RowReader::vanishes(ValueId id) const {
  std::vector<ValueId> seen = {id};
  for (std::size_t next = 0; next < seen.size(); ++next) {
    if (graph_.is_output(seen[next]) || seen.size() > kMostReaders) return false;
    for (const NodeId reader : graph_.consumers(seen[next])) {
      const Node& node = graph_.node(reader);
      if ((node.is("ScatterElements") || node.is("ScatterND")) && node.inputs[2] == seen[next]) continue;
      std::vector<float> numbers;
      if (!only_reshapes(node) && !node.is("Expand") && !row_operation(graph_, node, numbers)) return false;
      if (std::ranges::find(seen, node.outputs[0]) == seen.end()) seen.push_back(node.outputs[0]);
    }
  }
  return true;
}

bool RowReader::append_computed(const Node& node, ValueId id, RowSpan span) {
  RowExpression& message = aggregate_.message;
  const Shape& result = shape_of(graph_, id);
  const bool gathers = node.is("Gather") || node.is("GatherND") || node.is("GatherElements");
  // what is stored for others anyway is read, not computed again; gathered rows are read where they were gathered from
  if (!gathers && !only_reshapes(node) && !vanishes(id)) return false;
  if (only_reshapes(node)) {
    if (!is_concrete_f32(graph_, node.inputs[0])) return false;
    const Shape& source = shape_of(graph_, node.inputs[0]);
    if (source.empty() || source[0] != edges_) return false;
    append(node.inputs[0], span);
    return true;
  }
  if (node.is("Expand")) return append_operand(node.inputs[0], result, span);
  if (gathers) return append_gathered(node, span);
  std::vector<float> numbers;
  const auto operation = row_operation(graph_, node, numbers);
  if (!operation) return false;
  const std::size_t operands = RowExpression::is_binary(operation->op) ? 2 : 1;
  for (std::size_t i = 0; i < operands; ++i) {
    if (!append_operand(node.inputs[i], result, span)) return false;
  }
  const auto first = numbers.empty() ? operation->argument : static_cast<std::int64_t>(message.numbers.size());
  message.push(operation->op, first);
  message.numbers.insert(message.numbers.end(), numbers.begin(), numbers.end());
  return true;
}

bool RowReader::append_gathered(const Node& node, RowSpan span) {
  const ValueId data = node.inputs[0];
  const ValueId index = node.inputs[1];
  if (!is_concrete_f32(graph_, data) || shape_of(graph_, data).empty() || !type_of(graph_, index).is_concrete())
    return false;
  const Shape& numbers = shape_of(graph_, index);
  std::optional<ValueId> rows;
  if (node.is("GatherElements")) {
    const Shape& source = shape_of(graph_, data);
    if (axis_of(graph_, node, 0) != 0 || !std::ranges::equal(row_dims(source), row_dims(numbers))) return false;
    // only an index that needs no new constant: this reader does not edit the graph
    ValueId at = index;
    while (const Node* expand = producer_of(graph_, at, "Expand")) {
      const auto padded = padded_to(shape_of(graph_, expand->inputs[0]), numbers.size());
      if (!padded || (*padded)[0] != edges_) return false;
      at = expand->inputs[0];
    }
    if (element_count(shape_of(graph_, at)) == edges_) rows = at;
  } else if (node.is("GatherND")) {
    if (node.int_or("batch_dims", 0) == 0 && numbers.size() == 2 && numbers[1] == 1) rows = index;
  } else if (axis_of(graph_, node, 0) == 0 && element_count(numbers) == edges_) {
    rows = index;
  }
  if (!rows) return false;
  const std::int64_t by = add_operand(without_reshapes(graph_, *rows), Aggregate::index, 0);
  aggregate_.message.push(Op::operand, add_operand(data, by, span));
  return true;
}

/// Operand `id` of an operation over rows of shape `result` that have `span`.
bool RowReader::append_operand(ValueId id, const Shape& result, RowSpan span) {
  if (!is_concrete_f32(graph_, id)) return false;
  if (const auto number = uniform_of(graph_, id)) {
    aggregate_.message.push_number(*number);
    return true;
  }
  const Shape& shape = shape_of(graph_, id);
  const auto own = span_of(shape, result, span);
  if (!own) return false;
  if (shape.size() == result.size() && shape[0] == edges_) {
    append(id, *own);
    return true;
  }
  if (shape.size() == result.size() && shape[0] != 1) return false;
  aggregate_.message.push(Op::operand, add_operand(id, Aggregate::fixed, *own));
  return true;
}

std::optional<RowSpan> RowReader::span_of(const Shape& operand, const Shape& result, RowSpan result_span) const {
  const auto padded = padded_to(operand, result.size());
  if (!padded) return std::nullopt;
  const auto own = row_dims(*padded);
  const auto whole = row_dims(result);
  if (std::ranges::equal(own, whole)) return result_span;
  if (all_ones(own)) return RowSpan{0};
  if (result_span != (kHeads | kWidth)) return std::nullopt;
  std::size_t split = whole.size();
  while (split > 0 && element_count(whole.subspan(split)) < aggregate_.width) --split;
  if (element_count(whole.subspan(split)) != aggregate_.width) return std::nullopt;
  RowSpan span = 0;
  const auto part = [&](std::size_t begin, std::size_t end, RowSpan bit) {
    const auto mine = own.subspan(begin, end - begin);
    if (std::ranges::equal(mine, whole.subspan(begin, end - begin))) {
      span |= bit;
      return true;
    }
    return all_ones(mine);
  };
  if (!part(0, split, kHeads) || !part(split, whole.size(), kWidth)) return std::nullopt;
  return span;
}

bool RowReader::read_node_operand(RowExpression& expression, ValueId id, const Shape& result) {
  if (!is_concrete_f32(graph_, id)) return false;
  if (const auto number = uniform_of(graph_, id)) {
    expression.push_number(*number);
    return true;
  }
  if (append_node_operation(expression, id, result)) return true;
  // an expanded value is read where it is still narrow
  while (const Node* expand = producer_of(graph_, id, "Expand")) {
    if (!is_concrete_f32(graph_, expand->inputs[0])) break;
    const auto padded = padded_to(shape_of(graph_, expand->inputs[0]), result.size());
    if (!padded || !span_of(*padded, result, aggregate_.full())) break;
    id = expand->inputs[0];
  }
  const Shape& shape = shape_of(graph_, id);
  const auto span = span_of(shape, result, aggregate_.full());
  if (!span) return false;
  const bool per_node = shape.size() == result.size() && shape[0] == result[0];
  if (!per_node && shape.size() == result.size() && shape[0] != 1) return false;
  expression.push(Op::operand, add_operand(id, per_node ? Aggregate::per_node : Aggregate::fixed, *span));
  return true;
}

/// Rows that nothing else reads are computed where they are needed.
bool RowReader::append_node_operation(RowExpression& expression, ValueId id, const Shape& result) {
  const Node* node = producer_of(graph_, id);
  if (node == nullptr || node_budget_ == 0 || !read_once(graph_, id) || shape_of(graph_, id) != result) return false;
  std::vector<float> numbers;
  auto operation = row_operation(graph_, *node, numbers);
  if (!operation) return false;
  const Mark before = mark(expression);
  --node_budget_;
  const std::size_t operands = RowExpression::is_binary(operation->op) ? 2 : 1;
  for (std::size_t i = 0; i < operands; ++i) {
    if (!read_node_operand(expression, node->inputs[i], result)) {
      reset(expression, before);
      return false;
    }
  }
  if (!numbers.empty()) operation->argument = static_cast<std::int64_t>(expression.numbers.size());
  expression.steps.push_back(*operation);
  expression.numbers.insert(expression.numbers.end(), numbers.begin(), numbers.end());
  return true;
}

}  // namespace sparse_run
