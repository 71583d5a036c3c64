// Sparse weights whose zeros come in groups of four rows: Y[rows][lanes] = W[rows][k] · X[k][lanes], with an epilogue.
#pragma once

#include <vector>

#include "cpu/column/aligned.hpp"
#include "cpu/sparse/block_kernels.hpp"
#include "cpu/sparse/csr.hpp"

namespace sparse_run::cpu {

/// One compiled weight matrix, as SparseColumns, for weights of which four neighbouring rows (4 i … 4 i + 3) have their
/// entries in the same columns: pruned in blocks of 4×1, 8×1, 4×4 and the like, or by whole inputs. A place is stored
/// once for four weights and an activation loaded once for four multiply-adds. Where one of the rows lacks an entry it
/// gets weight 0, which an infinite activation turns into NaN, as in the dense product. Immutable: any number of
/// threads may run it at once.
class SparseBlocks {
 public:
  static constexpr std::size_t kRowStep = kSparseBlockRows;  ///< slices of rows begin at multiples of it

  explicit SparseBlocks(const Csr& weights, Isa isa = active_isa());

  /// Share of what SparseBlocks would store that are entries of `weights`, in (0, 1]; 1 when there are none.
  static double fill(const Csr& weights);

  std::size_t rows() const noexcept { return rows_; }
  std::size_t k() const noexcept { return k_; }
  std::size_t nnz() const noexcept { return nnz_; }
  Isa isa() const noexcept { return kernels_->isa; }
  /// Blocks handed to threads should be multiples of this many lanes; any other count works.
  std::size_t lane_step() const noexcept {
    return static_cast<std::size_t>(kernels_->vectors) * static_cast<std::size_t>(kernels_->width);
  }
  std::size_t bytes() const noexcept;

  /// Computes lanes [lane_begin, lane_end) of all rows. y and epilogue.residual point at (row 0, lane lane_begin);
  /// residual may be y itself. Reads nothing outside the input and writes nothing outside the result; needs no
  /// workspace but 34 KiB of stack.
  void run(const ColumnInput& input, std::size_t lane_begin, std::size_t lane_end, float* y, std::size_t y_stride,
           const Epilogue& epilogue) const noexcept;

 private:
  std::size_t rows_, k_, nnz_;
  const SparseBlockKernels* kernels_;
  std::vector<SparseBlockTile> tiles_;
  std::vector<SparseBlockGroup> groups_;
  AlignedVector<std::uint16_t> at_;
  AlignedVector<float> weights_;  ///< [entry][row of the group]
};

}  // namespace sparse_run::cpu
