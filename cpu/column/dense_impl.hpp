// Dense weights times a column, register-blocked: templates over a vector type.
#pragma once

#include <utility>

#include "cpu/column/activation_impl.hpp"
#include "cpu/column/collect_impl.hpp"
#include "cpu/column/kernels.hpp"

namespace sparse_run::cpu {

/// Rows · Vectors accumulators of one output tile over one K tile.
template <class V>
struct DenseTile {
  const float* w;  // [k][Rows]
  const float* x;  // row k at x + k · x_stride
  std::ptrdiff_t x_stride;
  std::size_t k;
  float* y;  // row r at y + r · y_stride
  std::size_t y_stride;
  const float* bias;      // of the tile's first row, or null
  const float* residual;  // like y, or null
  std::size_t residual_stride;
  float low, high;
  bool first, last;       // K tile
  typename V::Mask mask;  // of the last vector, when Partial
};

template <class V, int Rows, int Vectors, bool Partial>
[[gnu::noinline]] void dense_tile(const DenseTile<V>& t) {
  using F = typename V::F;
  constexpr auto last_vector = Vectors - 1;
  F sum[Rows][Vectors];
  if (t.first) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const F start = t.bias != nullptr ? V::broadcast(t.bias[r]) : V::zero();
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) sum[r][v] = start;
    }
    if (t.residual != nullptr) {
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const float* residual = t.residual + static_cast<std::size_t>(r) * t.residual_stride;
#pragma GCC unroll 16
        for (int v = 0; v < Vectors; ++v) {
          const bool part = Partial && v == last_vector;
          sum[r][v] =
              V::add(sum[r][v], part ? V::load(residual + v * V::width, t.mask) : V::load(residual + v * V::width));
        }
      }
    }
  } else {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const float* y = t.y + static_cast<std::size_t>(r) * t.y_stride;
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) {
        sum[r][v] = Partial && v == last_vector ? V::load(y + v * V::width, t.mask) : V::load(y + v * V::width);
      }
    }
  }

  const float* x = t.x;
  const float* w = t.w;
  const auto mask = t.mask;
  const std::ptrdiff_t x_stride = t.x_stride;
  for (std::size_t k = t.k; k > 0; --k, x += x_stride, w += Rows) {
    F in[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) {
      in[v] = Partial && v == last_vector ? V::load(x + v * V::width, mask) : V::load(x + v * V::width);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const F weight = V::broadcast(w[r]);
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) sum[r][v] = V::fma(weight, in[v], sum[r][v]);
    }
  }

  if (t.last) {
    const F low = V::broadcast(t.low), high = V::broadcast(t.high);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) sum[r][v] = V::min(high, V::max(low, sum[r][v]));
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    float* y = t.y + static_cast<std::size_t>(r) * t.y_stride;
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) {
      if (Partial && v == last_vector) {
        V::store(y + v * V::width, sum[r][v], t.mask);
      } else {
        V::store(y + v * V::width, sum[r][v]);
      }
    }
  }
}

/// dense_tile by [rows - 1][vectors - 1][partial].
template <class V>
struct DenseTiles {
  using Kernel = void (*)(const DenseTile<V>&);
  Kernel kernel[V::kTileRows][V::kTileVectors][2];

  template <int Rows, int... Vectors>
  constexpr void fill_row(std::integer_sequence<int, Vectors...>) {
    ((kernel[Rows][Vectors][0] = dense_tile<V, Rows + 1, Vectors + 1, false>,
      kernel[Rows][Vectors][1] = dense_tile<V, Rows + 1, Vectors + 1, true>),
     ...);
  }
  template <int... Rows>
  constexpr explicit DenseTiles(std::integer_sequence<int, Rows...>) : kernel{} {
    (fill_row<Rows>(std::make_integer_sequence<int, V::kTileVectors>()), ...);
  }
};

template <class V>
void dense_columns(const DensePack& pack, const ColumnInput& input, const ColumnPart& part, float* y,
                   std::size_t y_stride, const Epilogue& epilogue) {
  static constexpr DenseTiles<V> tiles{std::make_integer_sequence<int, V::kTileRows>()};
  constexpr int pitch = V::kTileVectors * V::width;
  alignas(64) float panel[kDensePanelFloats];

  const Activation& activation = epilogue.activation;
  const bool curved = activation.curve != Curve::clamp;
  DenseTile<V> tile;
  tile.low = curved ? -__builtin_inff() : activation.low;
  tile.high = curved ? __builtin_inff() : activation.high;
  tile.y_stride = y_stride;
  tile.residual_stride = epilogue.residual_stride;

  const std::size_t lanes = part.lane_end - part.lane_begin;
  const std::size_t vectors = (lanes + V::width - 1) / V::width;
  const std::size_t blocks = (vectors + V::kTileVectors - 1) / V::kTileVectors;
  std::size_t lane = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    const auto block_vectors = static_cast<int>(vectors / blocks + (block < vectors % blocks ? 1 : 0));
    const std::size_t left = lanes - lane;
    const bool partial = left < static_cast<std::size_t>(block_vectors * V::width);
    const int block_lanes = partial ? static_cast<int>(left) : block_vectors * V::width;
    tile.mask = V::lanes(block_lanes - (block_vectors - 1) * V::width);

    for (std::size_t k = 0; k < pack.k || k == 0; k += pack.k_tile) {
      const std::size_t k_end = k + pack.k_tile < pack.k ? k + pack.k_tile : pack.k;
      tile.first = k == 0;
      tile.last = k_end == pack.k;
      tile.k = k_end - k;
      const bool direct = input.window == nullptr && !pack.collect;
      if (direct) {
        tile.x = input.x + static_cast<std::ptrdiff_t>(k) * input.row_stride + part.lane_begin + lane;
        tile.x_stride = input.row_stride;
      } else {
        collect_panel<V>(input, k, k_end, part.lane_begin + lane, block_lanes, panel, pitch);
        tile.x = panel;
        tile.x_stride = pitch;
      }
      const float* tile_weights = pack.weights + k * pack.rows;
      for (std::size_t row = part.row_begin; row < part.row_end; row += V::kTileRows) {
        const std::size_t rows = part.row_end - row < V::kTileRows ? part.row_end - row : V::kTileRows;
        tile.w = tile_weights + row * tile.k;
        tile.y = y + row * y_stride + lane;
        tile.bias = epilogue.bias != nullptr ? epilogue.bias + row : nullptr;
        tile.residual =
            epilogue.residual != nullptr ? epilogue.residual + row * epilogue.residual_stride + lane : nullptr;
        tiles.kernel[rows - 1][block_vectors - 1][partial](tile);
        if (curved && tile.last) activate<V>(activation, tile.y, y_stride, static_cast<int>(rows), block_lanes);
      }
      if (pack.k == 0) break;
    }
    lane += static_cast<std::size_t>(block_lanes);
  }
}

}  // namespace sparse_run::cpu
