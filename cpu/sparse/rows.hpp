// Sparse weights compiled for one or two vectors at a time: y = W · x with an epilogue, bound by reading the weights.
#pragma once

#include <vector>

#include "cpu/column/aligned.hpp"
#include "cpu/sparse/csr.hpp"
#include "cpu/sparse/kernels.hpp"
#include "cpu/sparse/weight_storage.hpp"

namespace sparse_run::cpu {

/// y[lane][row] = activation(bias[row] + residual[lane][row] + sum over k of W[row][k] · x[lane][k]), as DenseFewLanes.
/// Every lane repeats the work on weights that are by then in the innermost cache: from about three lanes on,
/// transposing into columns and SparseColumns is faster. Sliced rows after Kreutzer et al., "A unified sparse matrix
/// data format for efficient general sparse matrix-vector multiplication on modern processors with wide SIMD units",
/// 2014 (SELL-C-sigma, sigma = all rows), with 16-bit columns and no padding in the arithmetic. Immutable: any number
/// of threads may run disjoint slices at once.
class SparseRows {
 public:
  explicit SparseRows(const Csr& weights, Isa isa = active_isa()) : SparseRows(weights, WeightStorage::f32, isa) {}
  SparseRows(const Csr& weights, WeightStorage storage, Isa isa = active_isa());

  std::size_t rows() const noexcept { return rows_; }
  std::size_t k() const noexcept { return k_; }
  std::size_t nnz() const noexcept { return nnz_; }
  Isa isa() const noexcept { return kernels_->isa; }
  std::size_t bytes() const noexcept;
  /// Units of work to split among threads; their entries descend slowly in number.
  std::size_t slices() const noexcept;

  /// Rows of slices [slice_begin, slice_end): lane l of the input at x + l · x_stride, of the result at y + l ·
  /// y_stride (row 0), of epilogue.residual likewise, which may be y itself. Writes only those rows; reads only inputs
  /// that an entry needs; no workspace.
  void run(const float* x, std::size_t x_stride, std::size_t lanes, float* y, std::size_t y_stride,
           const Epilogue& epilogue, std::size_t slice_begin, std::size_t slice_end) const noexcept;
  void run(const float* x, std::size_t x_stride, std::size_t lanes, float* y, std::size_t y_stride,
           const Epilogue& epilogue) const noexcept {
    run(x, x_stride, lanes, y, y_stride, epilogue, 0, slices());
  }

 private:
  std::size_t rows_, k_, nnz_, tiles_;
  const SparseKernels* kernels_;
  std::vector<std::uint32_t> order_;
  std::vector<SparseSlice> slices_;
  AlignedVector<std::uint16_t> at_;
  AlignedVector<float> weights_;
  AlignedVector<std::uint16_t> halves_;  ///< in place of weights_ when stored as bf16
  std::vector<std::uint16_t> active_;
};

}  // namespace sparse_run::cpu
