// Evaluates elementwise functions of rows over blocks of rows that fit the inner caches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/column/epilogue.hpp"
#include "graph/ops/aggregate.hpp"

namespace sparse_run::cpu {

/// Rows of some span in memory: row r begins at data + r · step, and step is 0 where all rows are the same.
struct RowBlock {
  const float* data = nullptr;
  std::size_t step = 0;
  RowSpan span = 0;
};

/// Where an operand's rows of a block are: beside each other from `data` on, or chosen by `rows` when that is given.
struct RowSource {
  const float* data = nullptr;
  const std::uint32_t* rows = nullptr;  ///< one per row of the block and kRowsAhead readable ones behind
  bool fixed = false;                   ///< one row serves all
};

/// A RowExpression ready to run. Immutable; workspace comes from the caller.
class RowEvaluator {
 public:
  RowEvaluator() = default;
  /// `aggregate` gives the sizes and the operands' spans; `first_span` is the span of operand 0, which has none there.
  RowEvaluator(const RowExpression& expression, const Aggregate& aggregate, RowSpan first_span);

  RowSpan span() const noexcept { return span_; }  ///< of the result
  /// Workspace for blocks of up to `rows` rows, in floats.
  std::size_t workspace_floats(std::size_t rows) const noexcept { return slots_ * rows * row_floats_; }
  /// Evaluates `rows` rows; `sources` are indexed by operand. The result lies in the workspace, or where a leaf lies
  /// when the expression is nothing but that, or, when the expression ends with an operation on rows, in `target`
  /// (packed rows of the result's span) if that is given.
  RowBlock run(const RowSource* sources, std::size_t rows, float* workspace, float* target = nullptr) const;

 private:
  struct Compiled {
    RowExpression::Step step;
    Activation activation = {};  ///< of operations that are activations
    RowSpan span = 0;            ///< of the result
    std::size_t slot = 0;        ///< of the workspace, for the result
  };

  RowBlock leaf(const Compiled& compiled, const RowSource* sources, std::size_t rows, float* slot) const;
  void unary(const Compiled& compiled, const RowBlock& a, std::size_t rows, float* y) const;
  void binary(RowExpression::Op op, const RowBlock& a, const RowBlock& b, RowSpan span, std::size_t rows,
              float* y) const;
  std::size_t elements(RowSpan span) const noexcept {
    return ((span & kHeads) != 0 ? heads_ : 1) * ((span & kWidth) != 0 ? width_ : 1);
  }

  std::vector<Compiled> steps_;
  std::vector<float> numbers_;
  std::size_t heads_ = 1, width_ = 1;
  std::size_t row_floats_ = 0;  ///< of a slot, per row
  std::size_t slots_ = 0;
  RowSpan span_ = 0;
};

/// Copies packed or repeated rows of a span to packed whole rows of heads · width floats. `y` may be where the rows of
/// `block` lie already when its span is whole.
void expand_rows(const RowBlock& block, std::size_t heads, std::size_t width, std::size_t rows, float* y);

}  // namespace sparse_run::cpu
