// Whether the zeros of a weight come in groups of four neighbouring rows, for the kernels that gain from it.
#pragma once

#include "cpu/selection/weight_facts.hpp"
#include "cpu/sparse/blocks.hpp"
#include "cpu/sparse/columns.hpp"

namespace sparse_run::cpu {

/// Multiples of rows at which `Weights` may be cut.
template <class Weights>
inline constexpr std::size_t row_step = 1;
template <>
inline constexpr std::size_t row_step<SparseBlocks> = SparseBlocks::kRowStep;

/// A glance at a sample: whether non-zeros of neighbouring rows of the product (`rows_first`: of dimension 0 of the
/// weight, else of its columns) stand in the same columns far more often than by chance.
inline bool neighbours_share_zeros(const WeightFacts& weight, bool rows_first) {
  const WeightFacts::Structure structure = weight.structure();
  return (rows_first ? structure.along_columns : structure.along_rows) > 0.5;
}

/// Whether SparseBlocks would store little else than entries.
inline bool zeros_in_blocks(const Csr& rows) { return SparseBlocks::fill(rows) >= 0.9; }

}  // namespace sparse_run::cpu
