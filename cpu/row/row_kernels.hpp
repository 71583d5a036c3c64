// Kernels over rows of floats, per instruction set: epilogues of row-major products, normalisations, maps.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/column/epilogue.hpp"
#include "cpu/isa.hpp"

namespace sparse_run::cpu {

/// C[rows][lanes] = A[rows][k] · B[k][lanes]. Strides in floats; A lies in any order, lanes are contiguous.
struct LaneProduct {
  const float* a = nullptr;
  std::size_t a_row = 0, a_k = 1;
  const float* b = nullptr;
  std::size_t b_k = 0;
  float* c = nullptr;
  std::size_t c_row = 0;
  const float* factor = nullptr;  ///< per lane, multiplied into the result; null: 1
  std::size_t rows = 0, k = 0, lanes = 0;
};

enum class Binary { add, sub, mul, div, min, max };

/// Strides are in floats. Rows may be of any length and alignment; nothing outside them is touched. Results may
/// overwrite operands of the same position. All are pure and may run on disjoint rows in several threads.
struct RowKernels {
  /// y[r][l] = activation(y[r][l] + bias[l] + residual[r][l]); bias and residual may be null.
  void (*epilogue)(const Activation& activation, const float* bias, const float* residual, std::size_t residual_stride,
                   float* y, std::size_t y_stride, std::size_t rows, std::size_t lanes);
  /// y[i] = activation(x[i]).
  void (*map)(const Activation& activation, const float* x, float* y, std::size_t n);
  /// y[i] = a[i·a_step] ∘ b[i·b_step], steps 0 or 1.
  void (*binary)(Binary op, const float* a, int a_step, const float* b, int b_step, float* y, std::size_t n);
  /// y[i] = exp(scale·x[i] + mask[i] − max) / Σ; mask may be null. A row that is −∞ everywhere gives NaN, as in ONNX.
  void (*softmax)(const float* x, float scale, const float* mask, float* y, std::size_t n);
  /// y[i] = (x[i] − mean) / sqrt(variance + epsilon) · gamma[i] + beta[i]; gamma and beta may be null. Two passes.
  void (*layer_norm)(const float* x, const float* gamma, const float* beta, float epsilon, float* y, std::size_t n);
  /// Down the rows of each lane, x[r][l]: y = (x − mean) / sqrt(variance + epsilon) · gamma[r] + beta[r]; gamma and
  /// beta may be null.
  void (*lane_norm)(const float* x, std::size_t x_stride, const float* gamma, const float* beta, float epsilon,
                    float* y, std::size_t y_stride, std::size_t rows, std::size_t lanes);
  /// Down the rows of each lane, in place: x[r][l] = exp(scale·x[r][l] + mask[r·mask_row_step + l·mask_lane_step] −
  /// max of l), inverse[l] = 1 / Σ; mask may be null. Softmax is x · inverse.
  void (*lane_softmax)(float* x, std::size_t x_stride, float scale, const float* mask, std::size_t mask_row_step,
                       std::size_t mask_lane_step, float* inverse, std::size_t rows, std::size_t lanes);
  /// Small dense products whose operands lie in the innermost caches: rows of B are best contiguous.
  void (*lane_product)(const LaneProduct& product);
  /// y[i] = x[i] rounded to bf16, the nearest and of two the even one; NaN stays NaN.
  void (*to_bf16)(const float* x, std::uint16_t* y, std::size_t n);
  float (*sum)(const float* x, std::size_t n);
  float (*max)(const float* x, std::size_t n);  ///< −∞ for n = 0; any number when an element is NaN
};

/// The kernels of active_isa().
const RowKernels& row_kernels() noexcept;

/// The kernels of a set that the processor must run.
const RowKernels& row_kernels(Isa isa) noexcept;

// One per translation unit row_kernels_<isa>.cpp.
extern const RowKernels kPortableRowKernels;
extern const RowKernels kAvx2RowKernels;
extern const RowKernels kAvx512RowKernels;

}  // namespace sparse_run::cpu
