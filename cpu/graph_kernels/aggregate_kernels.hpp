// Arithmetic of aggregation over the edges of a graph, per instruction set: sums and extrema of chosen rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/isa.hpp"

namespace sparse_run::cpu {

enum class Unary { negate, absolute, exponential, root, reciprocal };

/// Strides are in floats. `rows` holds `count` row numbers and at least kRowsAhead readable ones behind them; null:
/// rows 0, 1, 2, … Nothing is aligned. All are pure and may run on disjoint results in several threads.
struct AggregateKernels {
  /// y[i] += Σ_e x[rows[e]][i], i < n, in the order of e.
  void (*sum)(float* y, std::size_t n, const float* x, std::size_t stride, const std::uint32_t* rows,
              std::size_t count);
  /// y[r·n + i] = first + Σ_e x[rows[e]][i] over begin[r] ≤ e < begin[r + 1], r < count, in the order of e.
  void (*sum_rows)(float* y, std::size_t n, float first, const float* x, std::size_t stride, const std::uint32_t* rows,
                   const std::uint32_t* begin, std::size_t count);
  /// y[h·width + c] += Σ_e w[e·w_stride + h·w_head] · x[rows[e]][h·width + c] in the order of e.
  void (*weighted_sum)(float* y, std::size_t heads, std::size_t width, const float* x, std::size_t stride,
                       const std::uint32_t* rows, std::size_t count, const float* w, std::size_t w_stride,
                       std::size_t w_head);
  /// y[i] = max(y[i], x[rows[e]][i] of all e), or min; NaN propagates.
  void (*extreme)(bool largest, float* y, std::size_t n, const float* x, std::size_t stride, const std::uint32_t* rows,
                  std::size_t count);
  /// y[e][i] = x[rows[e]][i], i < n, y packed.
  void (*gather)(float* y, std::size_t n, const float* x, std::size_t stride, const std::uint32_t* rows,
                 std::size_t count);
  /// y[i] = f(x[i]); y may be x.
  void (*unary)(Unary f, const float* x, float* y, std::size_t n);
};

/// The kernels of active_isa().
const AggregateKernels& aggregate_kernels() noexcept;
/// The kernels of a set that the processor must run.
const AggregateKernels& aggregate_kernels(Isa isa) noexcept;

// One per translation unit aggregate_kernels_<isa>.cpp.
extern const AggregateKernels kPortableAggregateKernels;
extern const AggregateKernels kAvx2AggregateKernels;
extern const AggregateKernels kAvx512AggregateKernels;

}  // namespace sparse_run::cpu
