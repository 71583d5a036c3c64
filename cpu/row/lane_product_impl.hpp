// Small dense products with lanes side by side, sums in registers: a template over a vector type.
#pragma once

#include <utility>

#include "cpu/column/vec.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

/// Rows and vectors of sums that leave registers for one row of B and a broadcast element of A.
template <class V>
inline constexpr int kProductVectors = V::kRegisters == 32 ? 4 : 2;
template <class V>
inline constexpr int kProductRows = V::kRegisters == 32 ? 6 : 4;

/// Rows of C from `row` on and vectors of lanes from `lane` on; `mask` belongs to the last vector.
template <class V, int Rows, int Vectors>
[[gnu::noinline]] void lane_product_tile(const LaneProduct& p, std::size_t row, std::size_t lane, typename V::Mask mask,
                                         bool whole) {
  using F = typename V::F;
  F sum[Rows][Vectors];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sum[r][v] = V::zero();
  }
  const float* a[Rows];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) a[r] = p.a + (row + static_cast<std::size_t>(r)) * p.a_row;
  const float* b = p.b + lane;
  const std::size_t a_k = p.a_k, b_k = p.b_k;
  const auto accumulate = [&](std::size_t at, const float* from, bool full) __attribute__((always_inline)) {
    F x[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      x[v] = full || v + 1 < Vectors ? V::load(from + v * V::width) : V::load(from + v * V::width, mask);
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const F weight = V::broadcast(a[r][at]);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] = V::fma(weight, x[v], sum[r][v]);
    }
  };
  if (whole) {
    for (std::size_t k = 0; k < p.k; ++k) accumulate(k * a_k, b + k * b_k, true);
  } else {
    for (std::size_t k = 0; k < p.k; ++k) accumulate(k * a_k, b + k * b_k, false);
  }
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v) {
    const bool full = whole || v + 1 < Vectors;
    const std::size_t at = lane + static_cast<std::size_t>(v * V::width);
    F factor = V::broadcast(1.0f);
    if (p.factor != nullptr) factor = full ? V::load(p.factor + at) : V::load(p.factor + at, mask);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      float* to = p.c + (row + static_cast<std::size_t>(r)) * p.c_row + at;
      const F value = V::mul(sum[r][v], factor);
      if (full) {
        V::store(to, value);
      } else {
        V::store(to, value, mask);
      }
    }
  }
}

/// lane_product_tile by [rows - 1][vectors - 1].
template <class V>
struct LaneProductTiles {
  using Kernel = void (*)(const LaneProduct&, std::size_t, std::size_t, typename V::Mask, bool);
  Kernel kernel[kProductRows<V>][kProductVectors<V>];

  constexpr LaneProductTiles() : kernel{} { fill(std::make_integer_sequence<int, kProductRows<V>>()); }

 private:
  template <int... Rows>
  constexpr void fill(std::integer_sequence<int, Rows...>) {
    (fill_row<Rows>(std::make_integer_sequence<int, kProductVectors<V>>()), ...);
  }
  template <int Row, int... Vectors>
  constexpr void fill_row(std::integer_sequence<int, Vectors...>) {
    ((kernel[Row][Vectors] = lane_product_tile<V, Row + 1, Vectors + 1>), ...);
  }
};

template <class V>
void lane_product(const LaneProduct& p) {
  static constexpr LaneProductTiles<V> tiles;
  constexpr std::size_t width = V::width, most = kProductVectors<V>;
  for (std::size_t lane = 0; lane < p.lanes;) {
    const std::size_t left = p.lanes - lane, vectors = left >= most * width ? most : (left + width - 1) / width;
    const bool whole = left >= vectors * width;
    const auto mask = V::lanes(whole ? V::width : static_cast<int>(left - (vectors - 1) * width));
    for (std::size_t row = 0; row < p.rows;) {
      const std::size_t rows = p.rows - row < kProductRows<V> ? p.rows - row : kProductRows<V>;
      tiles.kernel[rows - 1][vectors - 1](p, row, lane, mask, whole);
      row += rows;
    }
    lane += vectors * width;
  }
}

}  // namespace sparse_run::cpu
