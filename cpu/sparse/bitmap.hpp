// Sparse weights with a bit per element, for few vectors of which zeros are skipped: y = W · x with an epilogue.
#pragma once

#include <span>
#include <vector>

#include "cpu/column/aligned.hpp"
#include "cpu/sparse/bitmap_kernels.hpp"
#include "cpu/sparse/csr.hpp"

namespace sparse_run::cpu {

/// A dense matrix that lies in memory in either order; strides in floats. A view.
struct DenseWeights {
  const float* values = nullptr;
  std::size_t rows = 0, columns = 0;
  std::size_t row_stride = 0, column_stride = 1;
};

/// y[lane][row] = activation(bias[row] + residual[lane][row] + sum over k of W[row][k] · x[lane][k]), as SparseRows,
/// for exactly `lanes` vectors. Entries lie column by column within blocks of rows, so that a column of which all lanes
/// have activation 0 is neither read nor multiplied; where W has a NaN or an infinity nothing is skipped, since 0 times
/// it is NaN. A stored element costs its value and 1 bit per element of W besides: fewer bytes than a place each up to
/// about 90% zeros, and time that falls with zeros of the activations rather than of the weights. An infinite
/// activation reaches only rows that have an entry for it. Immutable: any number of threads may run disjoint blocks at
/// once.
class SparseBitmap {
 public:
  /// `lanes`: 1 … kBitmapLanes.
  SparseBitmap(const Csr& weights, std::size_t lanes, Isa isa = active_isa());
  /// The same of the elements that are not 0: needs no more memory than what it keeps.
  SparseBitmap(const DenseWeights& weights, std::size_t nnz, std::size_t lanes, Isa isa = active_isa());

  std::size_t rows() const noexcept { return rows_; }
  std::size_t k() const noexcept { return k_; }
  std::size_t nnz() const noexcept { return nnz_; }
  std::size_t lanes() const noexcept { return lanes_; }
  Isa isa() const noexcept { return kernels_->isa; }
  std::size_t bytes() const noexcept;
  /// Units of work to split among threads.
  std::size_t blocks() const noexcept;
  /// True when columns without activation are skipped: all weights are finite.
  bool skips() const noexcept { return skips_; }

  /// Workspace of gather(), of 64-byte alignment.
  std::size_t workspace_bytes() const noexcept;
  /// Lists the columns with an activation, once for all blocks: lane l of the input at x + l · x_stride. The result
  /// points into `workspace`.
  BitmapInput gather(const float* x, std::size_t x_stride, std::byte* workspace) const noexcept;

  /// Rows of blocks [block_begin, block_end): lane l of the result at y + l · y_stride (row 0), of epilogue.residual
  /// likewise, which may be y itself. Writes only those rows.
  void run(const BitmapInput& input, float* y, std::size_t y_stride, const Epilogue& epilogue, std::size_t block_begin,
           std::size_t block_end) const noexcept;

 private:
  SparseBitmap(std::size_t rows, std::size_t k, std::size_t nnz, std::size_t lanes, Isa isa);
  /// The first entry of a column of a block: remembers where it lies among the weights.
  void begin_column(std::size_t block, std::size_t column, std::size_t entry);
  void set_bit(std::size_t block, std::size_t column, std::size_t row_in_block);
  std::size_t chunks() const noexcept { return (k_ + chunk_columns_ - 1) / chunk_columns_; }

  std::size_t rows_, k_, nnz_, lanes_;
  const BitmapKernels* kernels_;
  std::size_t block_rows_ = 0, column_bytes_ = 0, chunk_columns_ = 1;
  bool skips_ = true;
  std::size_t lines_ahead_ = 1;
  AlignedVector<std::uint8_t> bits_;
  AlignedVector<std::uint16_t> offset_;
  std::vector<std::size_t> first_;
  AlignedVector<float> weights_;
};

}  // namespace sparse_run::cpu
