// Recognises messages along the edges of a graph: rows gathered, scaled and scattered become a SparseAggregate.
//
// Looked for: ScatterElements or ScatterND that adds (or takes the maximum or minimum of) one row per edge, all
// elements of a row to the same place. What computes the rows is read back to gathers and to values of one row per
// edge; what is done to the result element by element is taken along.
#include <algorithm>
#include <string>

#include "graph/passes/fuse.hpp"
#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"
#include "graph/passes/row_space.hpp"

namespace sparse_run {

namespace {

using Op = RowExpression::Op;

constexpr int kTailNodes = 20;

/// A scatter read as: rows `updates` reduced onto rows of `data` that `targets` names.
struct Scatter {
  ValueId data, updates, targets;
  std::int64_t edges;
  Aggregate::Reduction reduction;
};

bool is_index(const Type& type) { return type.dtype == DType::i64 || type.dtype == DType::i32; }

/// Reads the scatter, or says what is in the way.
std::optional<Scatter> read_scatter(GraphBuilder& graph, NodeId id, std::string& reason) {
  const Node node = std::as_const(graph).node(id);
  const auto refuse = [&](std::string why) {
    reason = std::move(why);
    return std::nullopt;
  };
  for (const ValueId operand : node.inputs) {
    if (!type_of(graph, operand).is_concrete()) return refuse("shapes depend on data");
  }
  Scatter scatter{};
  const std::string reduction = node.string_or("reduction", "none");
  if (reduction == "max") {
    scatter.reduction = Aggregate::Reduction::max;
  } else if (reduction == "min") {
    scatter.reduction = Aggregate::Reduction::min;
  } else if (reduction != "add") {
    return refuse("its reduction is " + reduction);
  }
  scatter.data = node.inputs[0];
  scatter.updates = node.inputs[2];
  const Type data = type_of(graph, scatter.data);
  const Type updates = type_of(graph, scatter.updates);
  const Type indices = type_of(graph, node.inputs[1]);
  if (data.dtype != DType::f32) return refuse(fmt::format("its elements are {}, not f32", to_string(data.dtype)));
  if (!is_index(indices)) return refuse("its indices are neither i32 nor i64");
  if (data.shape->empty() || updates.shape->empty()) return refuse("it has no rows");
  scatter.edges = (*updates.shape)[0];
  if (element_count(std::span(*data.shape).subspan(1)) == 0) return refuse("its rows are empty");
  if (!std::equal(data.shape->begin() + 1, data.shape->end(), updates.shape->begin() + 1, updates.shape->end())) {
    return refuse("its updates are no whole rows of the data");
  }
  if (node.is("ScatterND")) {
    if (indices.shape->size() != 2 || indices.shape->back() != 1) return refuse("its indices name more than rows");
    scatter.targets = without_reshapes(graph, node.inputs[1]);
    return scatter;
  }
  if (normalize_axis(node.int_or("axis", 0), data.shape->size()) != 0)
    return refuse("it scatters along another axis than 0");
  const auto targets = row_index(graph, node.inputs[1], scatter.edges);
  if (!targets) {
    const Node* source = producer_of(graph, node.inputs[1]);
    return refuse(source == nullptr ? "its indices may differ within a row"
                                    : "its indices may differ within a row, by " + source->describe());
  }
  scatter.targets = *targets;
  return scatter;
}

/// The elementwise operations after a scatter, as far as nothing else reads what is between them.
class Tail {
 public:
  Tail(const GraphBuilder& graph, NodeId scatter, Aggregate& aggregate, RowReader& reader)
      : graph_(graph), aggregate_(aggregate), reader_(reader), last_(scatter) {
    result_ = graph.node(scatter).outputs[0];
    shape_ = *type_of(graph, result_).shape;
  }

  /// The data that the scatter adds to, when it is not the same number everywhere.
  bool start_with(ValueId data) {
    aggregate_.initial = aggregate_.neutral();
    begin();
    const Op op = aggregate_.reduction == Aggregate::Reduction::add   ? Op::add
                  : aggregate_.reduction == Aggregate::Reduction::max ? Op::max
                                                                      : Op::min;
    if (!reader_.read_node_operand(aggregate_.tail, data, shape_)) return false;
    aggregate_.tail.push(op);
    return true;
  }

  void follow() {
    for (int i = 0; i < kTailNodes && absorb(); ++i) {
    }
  }

  ValueId result() const { return result_; }
  NodeId last() const { return last_; }
  const std::vector<NodeId>& absorbed() const { return absorbed_; }
  const Shape& shape() const { return shape_; }

 private:
  void begin() {
    if (aggregate_.tail.steps.empty()) aggregate_.tail.push(Op::operand, 0);
  }

  void take(NodeId node) {
    absorbed_.push_back(last_);
    last_ = node;
    result_ = graph_.node(node).outputs[0];
    shape_ = *type_of(graph_, result_).shape;
  }

  bool absorb() {
    const auto reader = sole_reader(graph_, result_);
    if (!reader) return false;
    const Node& node = graph_.node(*reader);
    const Type& type = type_of(graph_, node.outputs.empty() ? result_ : node.outputs[0]);
    if (!type.is_concrete() || type.dtype != DType::f32 || type.shape->empty()) return false;
    if ((node.is("Reshape") || node.is("Unsqueeze") || node.is("Squeeze") || node.is("Flatten")) &&
        node.inputs[0] == result_ && (*type.shape)[0] == shape_[0]) {
      take(*reader);
      return true;
    }
    std::vector<float> numbers;
    auto operation = row_operation(graph_, node, numbers);
    if (!operation || *type.shape != shape_) return false;
    begin();
    RowExpression& tail = aggregate_.tail;
    if (!numbers.empty()) {
      operation->argument = static_cast<std::int64_t>(tail.numbers.size());
      tail.numbers.insert(tail.numbers.end(), numbers.begin(), numbers.end());
    }
    if (RowExpression::is_binary(operation->op)) {
      const bool first = node.inputs[0] == result_;
      const ValueId other = node.inputs[first ? 1 : 0];
      const auto own_steps = static_cast<std::ptrdiff_t>(tail.steps.size());
      if (!reader_.read_node_operand(tail, other, shape_)) return false;
      // the other operand comes first on the stack where it comes first in the node
      if (!first) std::rotate(tail.steps.begin(), tail.steps.begin() + own_steps, tail.steps.end());
    } else if (node.inputs[0] != result_) {
      return false;
    }
    tail.steps.push_back(*operation);
    take(*reader);
    return true;
  }

  const GraphBuilder& graph_;
  Aggregate& aggregate_;
  RowReader& reader_;
  NodeId last_;
  ValueId result_ = kNoValue;
  Shape shape_;
  std::vector<NodeId> absorbed_;
};

/// Elements of a head by which operations after `id` broadcast, looking at what reads it in turn.
std::optional<std::int64_t> head_width_after(const GraphBuilder& graph, ValueId id, std::int64_t row_elements) {
  for (int i = 0; i < kTailNodes; ++i) {
    const auto reader = sole_reader(graph, id);
    if (!reader || graph.node(*reader).outputs.empty()) return std::nullopt;
    const ValueId result = graph.node(*reader).outputs[0];
    for (const ValueId operand : graph.node(*reader).inputs) {
      if (operand == id || operand == kNoValue || !type_of(graph, result).is_concrete()) continue;
      if (type_of(graph, result).shape->empty()) return std::nullopt;
      if (const auto width = head_width(graph, result, row_elements)) return width;
    }
    id = result;
  }
  return std::nullopt;
}

class RecogniseAggregate final : public Pass {
 public:
  std::string_view name() const noexcept override { return "recognise-aggregate"; }
  std::string_view purpose() const noexcept override {
    return "recognises sums over the edges of a graph, so that messages are never stored";
  }

  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    const std::size_t count = graph.node_count();
    for (NodeId id = 0; id < count; ++id) {
      if (graph.removed(id)) continue;
      const Node& node = std::as_const(graph).node(id);
      if (node.is("MatMul")) {
        rewrites += replace_product(graph, id) ? 1 : 0;
      } else if (node.is("ScatterElements") || node.is("ScatterND")) {
        std::string reason;
        if (replace_scatter(graph, id, reason)) {
          ++rewrites;
        } else {
          graph.node(id).attributes["not_aggregated"] = reason;  // for --explain
        }
      }
    }
    return rewrites;
  }

 private:
  static bool replace_scatter(GraphBuilder& graph, NodeId id, std::string& reason) {
    const auto scatter = read_scatter(graph, id, reason);
    if (!scatter) return false;
    const ValueId result = std::as_const(graph).node(id).outputs[0];
    Aggregate aggregate;
    aggregate.reduction = scatter->reduction;
    aggregate.shape = *type_of(graph, scatter->data).shape;
    const std::int64_t row = element_count(std::span(aggregate.shape).subspan(1));
    auto width = head_width(graph, scatter->updates, row);
    if (!width) width = head_width_after(graph, result, row);
    aggregate.width = width.value_or(row);
    aggregate.heads = row / aggregate.width;
    RowReader reader(graph, aggregate, scatter->targets, scatter->edges);
    reader.read_message(scatter->updates);
    Tail tail(graph, id, aggregate, reader);
    if (const auto number = uniform_of(graph, scatter->data)) {
      aggregate.initial = *number;
    } else if (!tail.start_with(scatter->data)) {
      reason = "the data it adds to is not understood";
      return false;
    }
    tail.follow();
    aggregate.shape = tail.shape();
    const std::string name = std::as_const(graph).node(id).name;
    for (const NodeId absorbed : tail.absorbed()) graph.remove_node(absorbed);
    put(graph, tail.last(), name, aggregate, reader.operands());
    return true;
  }

  /// The product of a constant sparse matrix [n, m] and rows [m, f].
  static bool replace_product(GraphBuilder& graph, NodeId id) {
    const Node product = std::as_const(graph).node(id);
    const SparseTensor* matrix = graph.value(product.inputs[0]).sparse();
    const Type rows = type_of(graph, product.inputs[1]);
    if (matrix == nullptr || matrix->shape.size() != 2 || matrix->values.dtype() != DType::f32) return false;
    if (!rows.is_concrete() || rows.dtype != DType::f32 || rows.shape->size() != 2 || (*rows.shape)[1] == 0)
      return false;
    const auto count = matrix->nnz();
    Tensor targets = Tensor::allocate(DType::i64, {count});
    Tensor sources = Tensor::allocate(DType::i64, {count});
    const auto given = matrix->indices.data<std::int64_t>();
    const bool linear = matrix->indices.rank() == 1;
    for (std::int64_t e = 0; e < count; ++e) {
      const auto at = static_cast<std::size_t>(e);
      targets.data<std::int64_t>()[at] = linear ? given[at] / matrix->shape[1] : given[2 * at];
      sources.data<std::int64_t>()[at] = linear ? given[at] % matrix->shape[1] : given[2 * at + 1];
    }
    Aggregate aggregate;
    aggregate.shape = {matrix->shape[0], (*rows.shape)[1]};
    aggregate.width = (*rows.shape)[1];
    aggregate.roles = {Aggregate::index, Aggregate::index, Aggregate::per_edge, 1};
    aggregate.spans = {0, 0, 0, aggregate.full()};
    aggregate.message.push(Op::operand, 2);
    aggregate.message.push(Op::operand, 3);
    aggregate.message.push(Op::mul);
    const Tensor values = matrix->values;
    const std::vector<ValueId> operands = {graph.add_constant("", std::move(targets)),
                                           graph.add_constant("", std::move(sources)), graph.add_constant("", values),
                                           product.inputs[1]};
    put(graph, id, product.name, aggregate, operands);
    return true;
  }

  static void put(GraphBuilder& graph, NodeId id, const std::string& name, const Aggregate& aggregate,
                  const std::vector<ValueId>& operands) {
    Node& node = graph.node(id);
    aggregate.store(node);
    node.name = name;
    node.inputs = operands;
  }
};

}  // namespace

std::unique_ptr<Pass> make_recognise_aggregate() { return std::make_unique<RecogniseAggregate>(); }

}  // namespace sparse_run
