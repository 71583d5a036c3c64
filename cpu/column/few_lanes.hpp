// Dense weights times a few vectors: streams the weights once, vectorised along k.
#pragma once

#include <span>

#include "cpu/column/aligned.hpp"
#include "cpu/column/epilogue.hpp"
#include "cpu/column/kernels.hpp"

namespace sparse_run::cpu {

/// y[lane][row] = activation(bias[row] + residual[lane][row] + sum over k of W[row][k] · x[lane][k]): MatMul and Gemm
/// of a small batch, as ONNX lays them out. Bound by reading the weights. Immutable: any number of threads may run
/// disjoint row ranges at once.
class DenseFewLanes {
 public:
  static constexpr std::size_t kMostLanes = 8;  ///< of one pass; more lanes are computed in several

  /// Row-major weights [rows][k], kept. Throws Error(internal) when their number differs.
  DenseFewLanes(AlignedVector<float> weights, std::size_t rows, std::size_t k, Isa isa = active_isa());
  /// The same without a copy: the caller keeps `weights` alive.
  DenseFewLanes(std::span<const float> weights, std::size_t rows, std::size_t k, Isa isa = active_isa());
  DenseFewLanes(DenseFewLanes&&) = default;
  DenseFewLanes& operator=(DenseFewLanes&&) = default;

  std::size_t rows() const noexcept { return rows_; }
  std::size_t k() const noexcept { return k_; }
  Isa isa() const noexcept { return kernels_->isa; }

  /// Rows [row_begin, row_end) of all lanes: lane l of the input at x + l · x_stride, of the result at y + l · y_stride
  /// (row 0), of epilogue.residual at residual + l · residual_stride. Touches nothing else; no workspace.
  void run(const float* x, std::size_t x_stride, std::size_t lanes, float* y, std::size_t y_stride,
           const Epilogue& epilogue, std::size_t row_begin, std::size_t row_end) const noexcept;
  void run(const float* x, std::size_t x_stride, std::size_t lanes, float* y, std::size_t y_stride,
           const Epilogue& epilogue) const noexcept {
    run(x, x_stride, lanes, y, y_stride, epilogue, 0, rows_);
  }

 private:
  std::size_t rows_;
  std::size_t k_;
  const ColumnKernels* kernels_;
  AlignedVector<float> owned_;
  const float* weights_;
};

}  // namespace sparse_run::cpu
