// Reads the computation of rows (one per edge, or one per node) as an elementwise function of gathered and given rows.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "graph/ir/graph.hpp"
#include "graph/ops/aggregate.hpp"

namespace sparse_run {

/// The number that every element of a value is, when that is known: a constant of equal elements, ConstantOfShape, or
/// either one expanded.
std::optional<float> uniform_of(const GraphBuilder& graph, ValueId id);

/// `id`, or what it is but for its shape: looks through Reshape, Unsqueeze, Squeeze, Flatten and Identity.
ValueId without_reshapes(const GraphBuilder& graph, ValueId id);

/// A shape padded with leading ones to `rank` dimensions; nullopt when it has more.
std::optional<Shape> padded_to(const Shape& shape, std::size_t rank);

/// How many elements the heads have in which the computation of `id` (rows of `row_elements` elements) repeats values:
/// where an operand broadcasts within rows. nullopt: nowhere.
std::optional<std::int64_t> head_width(const GraphBuilder& graph, ValueId id, std::int64_t row_elements);

/// Collects operands and expressions of one Aggregate. Its heads and width are set, operand 0 is the target index.
class RowReader {
 public:
  RowReader(const GraphBuilder& graph, Aggregate& aggregate, ValueId targets, std::int64_t edges);

  /// Operands in the order of aggregate.roles.
  const std::vector<ValueId>& operands() const { return operands_; }

  /// Reads what computes `id`, of shape [edges, …], whole rows, into aggregate.message.
  void read_message(ValueId id);
  /// Appends to `expression` the operand `id` of an operation whose result has shape `result`, of which dimension 0
  /// counts nodes and the rest are whole rows. False when it broadcasts in another way than by row or by head.
  bool read_node_operand(RowExpression& expression, ValueId id, const Shape& result);

 private:
  struct Mark {
    std::size_t operands, steps, numbers;
    int budget;
  };
  Mark mark(const RowExpression& expression) const;
  void reset(RowExpression& expression, const Mark& mark);

  std::int64_t add_operand(ValueId id, std::int64_t role, RowSpan span);
  void append(ValueId id, RowSpan span);
  bool vanishes(ValueId id) const;
  bool append_computed(const Node& node, ValueId id, RowSpan span);
  bool append_node_operation(RowExpression& expression, ValueId id, const Shape& result);
  bool append_gathered(const Node& node, RowSpan span);
  bool append_operand(ValueId id, const Shape& result, RowSpan span);
  std::optional<RowSpan> span_of(const Shape& operand, const Shape& result, RowSpan result_span) const;

  const GraphBuilder& graph_;
  Aggregate& aggregate_;
  std::int64_t edges_;
  std::vector<ValueId> operands_;
  int budget_;       ///< nodes that may still be taken into the message
  int node_budget_;  ///< and into the other operands of the tail
};

/// The operation of a node as a step of a row expression (its constants go to `numbers`); nullopt when it is none.
std::optional<RowExpression::Step> row_operation(const GraphBuilder& graph, const Node& node,
                                                 std::vector<float>& numbers);

/// The value with one element per row that `indices`, of shape [rows, …], repeats along the other dimensions; nullopt
/// when it does not. A constant is made where the indices themselves are one.
std::optional<ValueId> row_index(GraphBuilder& graph, ValueId indices, std::int64_t rows);

}  // namespace sparse_run
