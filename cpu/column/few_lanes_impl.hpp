// Rows of dense weights times a few vectors: templates over a vector type.
#pragma once

#include "cpu/column/activation_impl.hpp"
#include "cpu/column/kernels.hpp"

namespace sparse_run::cpu {

/// Rows · Lanes sums over all of k, then bias, residual and clamp. Curved activations are the caller's.
template <class V, int Rows, int Lanes>
[[gnu::always_inline]] inline void few_lanes_block(const FewLanesCall& call, std::size_t row, float low, float high) {
  using F = typename V::F;
  F sum[Rows][Lanes];
  const float* w[Rows];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    w[r] = call.weights + (row + static_cast<std::size_t>(r)) * call.k;
#pragma GCC unroll 8
    for (int l = 0; l < Lanes; ++l) sum[r][l] = V::zero();
  }
  const float* x = call.x;
  const std::size_t x_stride = call.x_stride, whole = call.k / V::width * V::width;
  for (std::size_t k = 0; k < whole; k += V::width) {
    F in[Lanes];
#pragma GCC unroll 8
    for (int l = 0; l < Lanes; ++l) {
      in[l] = V::load(x + static_cast<std::size_t>(l) * x_stride + k);
      if constexpr (Rows > 1 && (Rows + 1) * Lanes < V::kRegisters) V::keep(in[l]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const F weights = V::load(w[r] + k);
#pragma GCC unroll 8
      for (int l = 0; l < Lanes; ++l) sum[r][l] = V::fma(weights, in[l], sum[r][l]);
    }
  }
  if (whole < call.k) {
    const auto mask = V::lanes(static_cast<int>(call.k - whole));
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const F weights = V::load(w[r] + whole, mask);
#pragma GCC unroll 8
      for (int l = 0; l < Lanes; ++l) {
        sum[r][l] = V::fma(weights, V::load(x + static_cast<std::size_t>(l) * x_stride + whole, mask), sum[r][l]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    const std::size_t at = row + static_cast<std::size_t>(r);
#pragma GCC unroll 8
    for (int l = 0; l < Lanes; ++l) {
      const auto lane = static_cast<std::size_t>(l);
      float value = V::sum(sum[r][l]);
      if (call.epilogue.bias != nullptr) value += call.epilogue.bias[at];
      if (call.epilogue.residual != nullptr) value += call.epilogue.residual[lane * call.epilogue.residual_stride + at];
      value = value < low ? low : value;
      call.y[lane * call.y_stride + at] = value > high ? high : value;
    }
  }
}

template <class V, int Lanes>
[[gnu::noinline]] void few_lanes_rows(const FewLanesCall& call) {
  constexpr int kMost = (V::kRegisters - 1) / Lanes - 1;  // Rows · Lanes sums, Lanes inputs, one weight
  constexpr std::size_t kRows = kMost < 1 ? 1 : kMost > 4 ? 4 : kMost;
  const Activation& activation = call.epilogue.activation;
  const bool curved = activation.curve != Curve::clamp;
  const float low = curved ? -__builtin_inff() : activation.low, high = curved ? __builtin_inff() : activation.high;
  std::size_t row = call.row_begin;
  for (; row + kRows <= call.row_end; row += kRows) few_lanes_block<V, kRows, Lanes>(call, row, low, high);
  for (; row < call.row_end; ++row) few_lanes_block<V, 1, Lanes>(call, row, low, high);
  if (curved) {
    activate<V>(activation, call.y + call.row_begin, call.y_stride, Lanes,
                static_cast<int>(call.row_end - call.row_begin));
  }
}

template <class V>
void dense_few_lanes(const FewLanesCall& call) {
  switch (call.lanes) {
    case 1:
      return few_lanes_rows<V, 1>(call);
    case 2:
      return few_lanes_rows<V, 2>(call);
    case 3:
      return few_lanes_rows<V, 3>(call);
    case 4:
      return few_lanes_rows<V, 4>(call);
    case 5:
      return few_lanes_rows<V, 5>(call);
    case 6:
      return few_lanes_rows<V, 6>(call);
    case 7:
      return few_lanes_rows<V, 7>(call);
    case 8:
      return few_lanes_rows<V, 8>(call);
    default:
      return;
  }
}

}  // namespace sparse_run::cpu
