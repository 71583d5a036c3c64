// Sparse weights of pattern N:M (2:4, 1:4, 4:8 …) for few vectors: y = W · x with an epilogue.
#pragma once

#include <optional>
#include <vector>

#include "cpu/column/aligned.hpp"
#include "cpu/sparse/csr.hpp"
#include "cpu/sparse/group_kernels.hpp"
#include "cpu/sparse/weight_storage.hpp"

namespace sparse_run::cpu {

/// y[lane][row] = activation(bias[row] + residual[lane][row] + sum over k of W[row][k] · x[lane][k]), as SparseRows,
/// for weights of which no row has more than `kept` entries in a group of `of` columns. No counts of rows are stored,
/// and of each entry only its place within its group: 2 or 4 bits. A group with fewer entries is filled up with weight
/// 0 on its first column, which an infinite activation turns into NaN, as in the dense product. Immutable: any number
/// of threads may run disjoint slices at once.
class SparseGroups {
 public:
  /// Throws Error(internal) for weights that do not have the pattern.
  SparseGroups(const Csr& weights, GroupPattern pattern, WeightStorage storage = WeightStorage::f32,
               Isa isa = active_isa());

  /// The pattern that stores least, when nine tenths of what it stores are entries; nullopt: none does. A matrix
  /// without entries has none.
  static std::optional<GroupPattern> pattern_of(const Csr& weights);

  std::size_t rows() const noexcept { return rows_; }
  std::size_t k() const noexcept { return k_; }
  std::size_t nnz() const noexcept { return nnz_; }
  const GroupPattern& pattern() const noexcept { return pattern_; }
  Isa isa() const noexcept { return kernels_->isa; }
  std::size_t bytes() const noexcept;
  /// Units of work to split among threads, all of the same size.
  std::size_t slices() const noexcept;

  /// Rows of slices [slice_begin, slice_end): lane l of the input at x + l · x_stride, of the result at y + l ·
  /// y_stride (row 0), of epilogue.residual likewise, which may be y itself. Writes only those rows; no workspace.
  void run(const float* x, std::size_t x_stride, std::size_t lanes, float* y, std::size_t y_stride,
           const Epilogue& epilogue, std::size_t slice_begin, std::size_t slice_end) const noexcept;

 private:
  std::size_t rows_, k_, nnz_;
  GroupPattern pattern_;
  const GroupKernels* kernels_;
  AlignedVector<std::uint8_t> places_;
  AlignedVector<float> weights_;
  AlignedVector<std::uint16_t> halves_;
};

}  // namespace sparse_run::cpu
