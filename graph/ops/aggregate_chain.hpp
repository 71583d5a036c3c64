// A SparseAggregate followed by dense products of its rows with constant weights, computed block of rows by block of
// rows.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/ops/aggregate.hpp"
#include "graph/ops/fused_activation.hpp"

namespace sparse_run {

/// One product of a chain: activation(rows · weights + bias + residual).
struct RowStage {
  static constexpr std::int64_t kPrevious = -1;  ///< what the chain has come to before this stage
  static constexpr std::int64_t kNone = -2;

  std::int64_t rows = kPrevious;  ///< kPrevious, or an operand of [nodes, k]
  std::int64_t weights = 0;       ///< operand of [k, n], or [n, k] when transposed
  std::int64_t bias = kNone;      ///< operand of n elements, or kNone
  std::int64_t residual = kNone;  ///< kPrevious, an operand of [nodes, n], or kNone
  bool transposed = false;
  FusedActivation activation = {};
};

/// AggregateChain(operands of a SparseAggregate …, operands of the stages …): the attributes of SparseAggregate
/// describe the first operands, whose result, of [nodes, row], is what the chain begins with. Nothing of [nodes, row]
/// is stored.
struct AggregateChain {
  Aggregate aggregate;
  std::vector<RowStage> stages;  ///< at least one

  /// Reads the attributes; Error(model) unless stages refer to operands that exist.
  static AggregateChain of(const Node& node);
  /// Makes `node` an AggregateChain with these attributes; operands and results are the caller's.
  void store(Node& node) const;
};

}  // namespace sparse_run
