// Dense weights packed for the column kernel: Y[rows][lanes] = W[rows][k] · X[k][lanes], with an epilogue.
#pragma once

#include <span>
#include <vector>

#include "cpu/column/aligned.hpp"
#include "cpu/column/column.hpp"
#include "cpu/column/epilogue.hpp"
#include "cpu/column/kernels.hpp"

namespace sparse_run::cpu {

/// One compiled weight matrix for Conv (rows = output channels of a group, k = channels · taps), MatMul and Gemm
/// (transposed: rows = output features, lanes = tokens). Immutable: any number of threads may run it at once.
class DenseColumns {
 public:
  /// `weights` is row-major [rows][k]; it is copied. `lanes` is the number of lanes one run is expected to compute: few
  /// lanes allow longer K tiles. More lanes than that are computed correctly, in panels that fit the K tile. Throws
  /// Error(internal) when the size of `weights` differs.
  DenseColumns(std::span<const float> weights, std::size_t rows, std::size_t k, std::size_t lanes = kManyLanes,
               Isa isa = active_isa());
  static constexpr std::size_t kManyLanes = std::size_t{1} << 30;

  std::size_t rows() const noexcept { return rows_; }
  std::size_t k() const noexcept { return k_; }
  Isa isa() const noexcept { return kernels_->isa; }
  /// Parts must begin at a multiple of this many rows.
  std::size_t row_step() const noexcept { return static_cast<std::size_t>(kernels_->dense_rows); }
  /// Parts whose lane count is a multiple of this waste no vector; any other count works.
  std::size_t lane_step() const noexcept { return static_cast<std::size_t>(kernels_->dense_lanes); }
  std::size_t bytes() const noexcept { return weights_.size() * sizeof(float); }

  /// Computes `part` of the result. y and epilogue.residual point at (row 0, lane part.lane_begin); bias at row 0.
  /// Reads no element outside the input and writes none outside the part; needs no alignment (multiples of 64 bytes are
  /// fastest), no workspace but 36 KiB of stack. y must not overlap the input; residual may be y itself.
  void run(const ColumnInput& input, const ColumnPart& part, float* y, std::size_t y_stride,
           const Epilogue& epilogue) const noexcept;
  /// All rows of lanes [0, lanes).
  void run(const ColumnInput& input, std::size_t lanes, float* y, std::size_t y_stride,
           const Epilogue& epilogue) const noexcept {
    run(input, {0, lanes, 0, rows_}, y, y_stride, epilogue);
  }

 private:
  std::size_t rows_;
  std::size_t k_;
  std::size_t k_tile_ = 1;
  const ColumnKernels* kernels_;
  AlignedVector<float> weights_;
};

}  // namespace sparse_run::cpu
