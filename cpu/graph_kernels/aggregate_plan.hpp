// How a SparseAggregate is computed: which of its arithmetic runs while rows are summed, and in blocks of which size.
#pragma once

#include <cstddef>

#include "cpu/graph_kernels/row_evaluator.hpp"
#include "graph/ops/aggregate.hpp"

namespace sparse_run::cpu {

/// The forms of messages, from the cheapest to the most general.
enum class MessageForm {
  number,    ///< the same number from every edge: only the number of edges counts
  rows,      ///< rows of one operand, summed where they lie
  weighted,  ///< sums of rows of one operand, times a weight per edge or per edge and head
  evaluated  ///< computed in blocks of edges, then reduced
};

struct AggregatePlan {
  Aggregate aggregate;
  MessageForm form = MessageForm::evaluated;
  std::size_t operand = 0;     ///< of rows and weighted: whose rows are summed
  RowEvaluator weight;         ///< of weighted
  RowEvaluator message;        ///< of evaluated
  RowEvaluator tail;           ///< applied to blocks of finished rows
  RowSpan reduced = 0;         ///< the parts of a row that are reduced; the others repeat
  std::size_t edge_block = 0;  ///< edges evaluated at once
  std::size_t row_block = 0;   ///< rows finished at once

  explicit AggregatePlan(Aggregate aggregate);
  std::size_t elements(RowSpan span) const { return static_cast<std::size_t>(aggregate.elements(span)); }
  /// Floats of workspace that a thread needs.
  std::size_t workspace_floats() const;
};

}  // namespace sparse_run::cpu
