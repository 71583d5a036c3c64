// Sums rows along edges before they are multiplied with weights instead of after: Σ w·(x W) = (Σ w·x) W.
//
// Looked for: a SparseAggregate that adds up rows of a product with constant weights, each times numbers that belong to
// edges or nodes as a whole. Rows of no more elements are gathered then, and the product can be computed while the sums
// are in cache (fuse-aggregate), so that the product of all rows is never stored.
#include <algorithm>

#include "graph/ops/aggregate.hpp"
#include "graph/ops/fused_activation.hpp"
#include "graph/passes/fuse.hpp"
#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

using Op = RowExpression::Op;

/// Elements of the sums from which a product of the same width as its operand is worth moving: smaller ones stay in the
/// caches by themselves.
constexpr std::int64_t kSmallElements = std::int64_t{1} << 20;

bool is_plain_product(const Node& node) {
  if (!node.is("MatMul") && !node.is("Gemm") && !node.is("FusedMatMul", kInternalDomain)) return false;
  return node.inputs.size() == 2 && node.int_or("transA", 0) == 0 && node.float_or("alpha", 1) == 1 &&
         (node.domain.empty() || FusedActivation::of(node).kind == FusedActivation::Kind::none);
}

/// Whether the message is the rows of an operand times numbers that are the same for all elements of a row.
bool scales_rows(const Aggregate& aggregate, std::size_t operand) {
  enum class Part { rows, number };
  std::vector<Part> stack;
  for (const RowExpression::Step& step : aggregate.message.steps) {
    if (step.op == Op::operand && step.argument == static_cast<std::int64_t>(operand)) {
      stack.push_back(Part::rows);
    } else if (RowExpression::is_leaf(step.op)) {
      if (step.op == Op::operand && aggregate.spans[static_cast<std::size_t>(step.argument)] != 0) return false;
      stack.push_back(Part::number);
    } else if (RowExpression::is_binary(step.op)) {
      const Part second = stack.back();
      stack.pop_back();
      if (second == Part::rows || stack.back() == Part::rows) {
        if (step.op != Op::mul || second == stack.back()) return false;
        stack.back() = Part::rows;
      }
    } else if (stack.back() == Part::rows) {
      return false;
    }
  }
  return stack.size() == 1 && stack.back() == Part::rows;
}

/// What comes after the sums, as a product's bias and activation.
struct ProductTail {
  std::int64_t bias = -1;  ///< operand of the aggregate
  FusedActivation activation = {};
};

std::optional<FusedActivation> activation_of_step(const RowExpression& tail, const RowExpression::Step& step) {
  using Kind = FusedActivation::Kind;
  const auto number = [&](std::int64_t i) { return tail.numbers[static_cast<std::size_t>(step.argument + i)]; };
  switch (step.op) {
    case Op::relu:
      return FusedActivation{Kind::relu, 0, 0};
    case Op::leaky_relu:
      return FusedActivation{Kind::leaky_relu, number(0), 0};
    case Op::clip:
      return FusedActivation{Kind::clip, number(0), number(1)};
    case Op::hard_swish:
      return FusedActivation{Kind::hard_swish, 0, 0};
    case Op::sigmoid:
      return FusedActivation{Kind::sigmoid, 0, 0};
    case Op::silu:
      return FusedActivation{Kind::silu, 0, 0};
    case Op::gelu:
      return FusedActivation{Kind::gelu, 0, 0};
    case Op::tanh:
      return FusedActivation{Kind::tanh, 0, 0};
    default:
      return std::nullopt;
  }
}

/// Reads a tail that is nothing but the sums, plus the same row everywhere, through an activation.
std::optional<ProductTail> read_tail(const Aggregate& aggregate) {
  ProductTail read;
  const auto& steps = aggregate.tail.steps;
  if (steps.empty()) return read;
  std::size_t at = 1;
  if (steps[0].op != Op::operand || steps[0].argument != 0) return std::nullopt;
  if (steps.size() >= 3 && steps[1].op == Op::operand && steps[2].op == Op::add) {
    const auto bias = static_cast<std::size_t>(steps[1].argument);
    if (aggregate.roles[bias] != Aggregate::fixed || aggregate.spans[bias] != aggregate.full()) return std::nullopt;
    read.bias = steps[1].argument;
    at = 3;
  }
  if (at < steps.size()) {
    const auto activation = activation_of_step(aggregate.tail, steps[at]);
    if (!activation || at + 1 != steps.size()) return std::nullopt;
    read.activation = *activation;
  }
  return read;
}

/// Takes an operand that no expression needs any more out of the lists.
void remove_operand(Aggregate& aggregate, std::vector<ValueId>& operands, std::int64_t removed) {
  operands.erase(operands.begin() + removed);
  aggregate.roles.erase(aggregate.roles.begin() + removed);
  aggregate.spans.erase(aggregate.spans.begin() + removed);
  for (std::int64_t& role : aggregate.roles) role -= role > removed ? 1 : 0;
  for (RowExpression::Step& step : aggregate.message.steps) {
    if (step.op == Op::operand && step.argument > removed) --step.argument;
  }
}

class MultiplyAfterSums final : public Pass {
 public:
  std::string_view name() const noexcept override { return "multiply-after-sums"; }
  std::string_view purpose() const noexcept override {
    return "multiplies rows with weights after they were added up along edges, where rows are not wider before";
  }

  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    const std::size_t count = graph.node_count();
    for (NodeId id = 0; id < count; ++id) {
      if (graph.removed(id) || !std::as_const(graph).node(id).is("SparseAggregate", kInternalDomain)) continue;
      rewrites += rewrite(graph, id) ? 1 : 0;
    }
    return rewrites;
  }

 private:
  static bool rewrite(GraphBuilder& graph, NodeId id) {
    const Node node = std::as_const(graph).node(id);
    Aggregate aggregate = Aggregate::of(node);
    if (aggregate.reduction != Aggregate::Reduction::add || aggregate.initial != 0 || aggregate.heads != 1 ||
        aggregate.shape.size() != 2 || aggregate.width == 1) {
      return false;
    }
    const auto tail = read_tail(aggregate);
    if (!tail) return false;
    for (std::size_t rows = 1; rows < aggregate.roles.size(); ++rows) {
      if (aggregate.roles[rows] < 0 || aggregate.spans[rows] != aggregate.full() || !scales_rows(aggregate, rows))
        continue;
      return move_product(graph, id, std::move(aggregate), *tail, rows);
    }
    return false;
  }

  static bool move_product(GraphBuilder& graph, NodeId id, Aggregate aggregate, const ProductTail& tail,
                           std::size_t rows) {
    const Node node = std::as_const(graph).node(id);
    const ValueId multiplied = node.inputs[rows];
    const Node* producer = producer_of(graph, multiplied);
    if (producer == nullptr || !is_plain_product(*producer) || !read_once(graph, multiplied)) return false;
    const Node product = *producer;
    const Tensor* weights = constant_of(graph, product.inputs[1]);
    const Type given = type_of(graph, product.inputs[0]);
    if (weights == nullptr || weights->rank() != 2 || !given.is_concrete() || given.shape->size() != 2) return false;
    const std::int64_t width = (*given.shape)[1];
    if (width < 1 || width > aggregate.width || (*given.shape)[0] < aggregate.nodes()) return false;
    if (width == aggregate.width && element_count(aggregate.shape) < kSmallElements) return false;

    std::vector<ValueId> operands = node.inputs;
    ValueId bias = kNoValue;
    if (tail.bias >= 0) {
      bias = operands[static_cast<std::size_t>(tail.bias)];
      const Type& type = type_of(graph, bias);
      if (!type.is_concrete() || type.shape->empty() || type.shape->size() > 2 || type.shape->back() != aggregate.width)
        return false;
    }
    const Shape result = aggregate.shape;
    operands[rows] = product.inputs[0];
    aggregate.width = width;
    aggregate.shape = {result[0], width};
    aggregate.spans[rows] = aggregate.full();
    aggregate.tail = {};
    if (tail.bias >= 0) remove_operand(aggregate, operands, tail.bias);

    const ValueId sums = graph.add_value("", Type::tensor(DType::f32, aggregate.shape));
    Node moved;
    moved.name = product.name;
    moved.op = "FusedMatMul";
    moved.domain = kInternalDomain;
    moved.inputs = {sums, product.inputs[1]};
    if (bias != kNoValue) moved.inputs.push_back(bias);
    moved.outputs = node.outputs;
    moved.attributes["transB"] = product.int_or("transB", 0);
    tail.activation.store(moved);
    graph.remove_node(*graph.producer(multiplied));
    Node& summing = graph.node(id);
    aggregate.store(summing);
    summing.inputs = std::move(operands);
    summing.outputs = {sums};
    graph.add_node(std::move(moved));
    return true;
  }
};

}  // namespace

std::unique_ptr<Pass> make_multiply_after_sums() { return std::make_unique<MultiplyAfterSums>(); }

}  // namespace sparse_run
