// The operator that passes put in place of gather, scale and scatter over the edges of a graph.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/shape.hpp"
#include "graph/ir/node.hpp"

namespace sparse_run {

/// Which parts of a row of heads · width elements a value has: a bit for heads, a bit for the elements of a head.
/// Where a bit is missing the value repeats.
using RowSpan = unsigned;
inline constexpr RowSpan kHeads = 1;
inline constexpr RowSpan kWidth = 2;

/// An elementwise function of rows, in postfix order over a stack.
struct RowExpression {
  enum class Op : std::int64_t {
    operand,  ///< pushes operand `argument` of the node
    number,   ///< pushes numbers[argument]
    add,
    sub,
    mul,
    div,
    max,
    min,
    negate,
    absolute,
    exponential,
    root,
    reciprocal,
    relu,
    leaky_relu,  ///< slope: numbers[argument]
    clip,        ///< bounds: numbers[argument], numbers[argument + 1]
    hard_swish,
    sigmoid,
    silu,
    gelu,
    tanh,
  };
  struct Step {
    Op op;
    std::int64_t argument = 0;
    bool operator==(const Step&) const = default;
  };
  /// Longest expression there is: larger ones are cut into nodes.
  static constexpr std::size_t kMaxSteps = 64;

  std::vector<Step> steps;
  std::vector<float> numbers;

  static bool is_binary(Op op) { return op >= Op::add && op <= Op::min; }
  static bool is_leaf(Op op) { return op == Op::operand || op == Op::number; }
  void push(Op op, std::int64_t argument = 0) { steps.push_back({op, argument}); }
  void push_number(float number);
  /// The definition, for one element: operations other than leaves. NaN propagates.
  double apply(const Step& step, double a, double b) const;
};

/// SparseAggregate(targets, …): for every row n of the result,
///
///   y[n] = tail(reduce over edges e with targets[e] = n, beginning with `initial`, of message(e))
///
/// where message and tail are elementwise functions of rows of heads · width floats. Nothing of the size edges · row is
/// made. Attributes `roles` and `spans` tell, for each operand, what its rows belong to and which parts of a row it
/// has.
struct Aggregate {
  enum class Reduction { add, max, min };
  /// What the rows of an operand belong to. A role ≥ 0 names the index operand by which rows are gathered, one per
  /// edge; 0 is `targets`.
  enum Role : std::int64_t {
    index = -1,     ///< one row number per edge, negative ones counted from the end
    per_edge = -2,  ///< one row per edge
    per_node = -3,  ///< one row per row of the result; in tail only
    fixed = -4,     ///< the same row everywhere
  };

  Shape shape;  ///< of the result: nodes first, heads · width elements each
  std::int64_t heads = 1;
  std::int64_t width = 1;
  Reduction reduction = Reduction::add;
  float initial = 0;
  std::vector<std::int64_t> roles;  ///< parallel to operands
  std::vector<RowSpan> spans;       ///< parallel to operands; 0 for an index
  RowExpression message;            ///< over operands that are not `per_node`
  RowExpression tail;               ///< operand 0 stands for the reduced row; empty: the reduced row itself

  std::int64_t nodes() const { return shape[0]; }
  std::int64_t row_elements() const { return heads * width; }
  std::int64_t elements(RowSpan span) const {
    return ((span & kHeads) != 0 ? heads : 1) * ((span & kWidth) != 0 ? width : 1);
  }
  /// The span with bits of dimensions of size one removed.
  RowSpan normalized(RowSpan span) const;
  /// The span of a whole row.
  RowSpan full() const { return normalized(kHeads | kWidth); }
  /// Position of element i of a row in a value of this span.
  std::int64_t position(RowSpan span, std::int64_t i) const;
  /// Value that changes nothing: 0, −∞ or +∞.
  float neutral() const;

  /// Reads the attributes; Error(model) unless expressions are well formed and refer to operands that exist.
  static Aggregate of(const Node& node);
  /// Makes `node` a SparseAggregate with these attributes; operands and results are the caller's.
  void store(Node& node) const;
};

}  // namespace sparse_run
