// Sparse weights times single vectors, one row per vector lane: templates over a vector type.
#pragma once

#include "cpu/column/activation_impl.hpp"
#include "cpu/sparse/kernels.hpp"
#include "cpu/sparse/weight_storage_impl.hpp"

namespace sparse_run::cpu {

/// Each slice holds as many rows as a vector has lanes, sorted by their number of entries, and is finished in
/// registers: per step one entry of each row, its inputs gathered. Rows that have ended are masked, never filled up, so
/// that an infinite input reaches only the rows that read it.
template <class V, class Weight>
void sparse_rows_of(const SparseRowsPack& pack, const Weight* weights, std::size_t slice_begin,
                    std::size_t slice_end, const float* x, std::size_t x_stride, std::size_t lanes, float* y,
                    std::size_t y_stride, const Epilogue& epilogue) {
  using Stored = StoredWeights<V>;
  constexpr std::size_t kRows = V::width;
  const Activation activation = epilogue.activation;
  for (std::size_t s = slice_begin; s < slice_end; ++s) {
    const std::size_t first_row = s * kRows;
    const std::size_t rows = pack.rows - first_row < kRows ? pack.rows - first_row : kRows;
    const std::uint32_t* order = pack.order + first_row;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const float* in = x + lane * x_stride;
      float* out = y + lane * y_stride;
      alignas(64) float value[kRows];
      V::store(value, V::zero());
      for (std::size_t i = 0; i < rows; ++i) {
        if (epilogue.bias != nullptr) value[i] = epilogue.bias[order[i]];
        if (epilogue.residual != nullptr) value[i] += epilogue.residual[lane * epilogue.residual_stride + order[i]];
      }
      auto even = V::load(value), odd = V::zero();
      for (std::size_t tile = 0; tile < pack.tiles; ++tile) {
        const SparseSlice& slice = pack.slices[s * pack.tiles + tile];
        const float* from = in + tile * kSparseRowsTile;
        const std::uint16_t* at = pack.at + slice.first_step * kRows;
        const Weight* w = weights + slice.first_step * kRows;
        std::uint32_t step = 0;
        for (; step + 2 <= slice.whole; step += 2, at += 2 * kRows, w += 2 * kRows) {
          even = V::fma(Stored::load(w), V::gather(from, at), even);
          odd = V::fma(Stored::load(w + kRows), V::gather(from, at + kRows), odd);
        }
        for (; step < slice.steps; ++step, at += kRows, w += kRows) {
          const auto mask = V::lanes_of(pack.active[slice.first_step + step]);
          even = V::fma(Stored::load(w), V::gather(from, at, mask), even);
        }
      }
      V::store(value, curve_value<V>(activation, V::add(even, odd)));
      for (std::size_t i = 0; i < rows; ++i) out[order[i]] = value[i];
    }
  }
}

template <class V>
void sparse_rows(const SparseRowsPack& pack, std::size_t slice_begin, std::size_t slice_end, const float* x,
                 std::size_t x_stride, std::size_t lanes, float* y, std::size_t y_stride, const Epilogue& epilogue) {
  if (pack.halves != nullptr) {
    sparse_rows_of<V>(pack, pack.halves, slice_begin, slice_end, x, x_stride, lanes, y, y_stride, epilogue);
  } else {
    sparse_rows_of<V>(pack, pack.weights, slice_begin, slice_end, x, x_stride, lanes, y, y_stride, epilogue);
  }
}

}  // namespace sparse_run::cpu
