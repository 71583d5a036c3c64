// Dense weights times a column, register-blocked: templates over a vector type.
#pragma once

#include <utility>

#include "cpu/column/activation_impl.hpp"
#include "cpu/column/collect_impl.hpp"
#include "cpu/column/kernels.hpp"

namespace sparse_run::cpu {

/// The first tile of a group streams its weights from the outer caches, and the hardware's prefetcher stops at every
/// page: asking this far ahead took a cold ResNet-50 from 63 to 55 ms on one core (the other tiles find them in L1).
inline constexpr int kDensePrefetchFloats = 512;

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

template <class V, int Rows, int Vectors, bool Partial, bool Prefetch>
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
    if constexpr (Prefetch) __builtin_prefetch(w + kDensePrefetchFloats);
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

/// dense_tile by [rows - 1][vectors - 1][partial][prefetch].
template <class V>
struct DenseTiles {
  using Kernel = void (*)(const DenseTile<V>&);
  Kernel kernel[V::kTileRows][V::kTileVectors][2][2];

  template <int Rows, int... Vectors>
  constexpr void fill_row(std::integer_sequence<int, Vectors...>) {
    ((kernel[Rows][Vectors][0][0] = dense_tile<V, Rows + 1, Vectors + 1, false, false>,
      kernel[Rows][Vectors][0][1] = dense_tile<V, Rows + 1, Vectors + 1, false, Rows + 1 == V::kTileRows>,
      kernel[Rows][Vectors][1][0] = dense_tile<V, Rows + 1, Vectors + 1, true, false>,
      kernel[Rows][Vectors][1][1] = dense_tile<V, Rows + 1, Vectors + 1, true, Rows + 1 == V::kTileRows>),
     ...);
  }
  template <int... Rows>
  constexpr explicit DenseTiles(std::integer_sequence<int, Rows...>) : kernel{} {
    (fill_row<Rows>(std::make_integer_sequence<int, V::kTileVectors>()), ...);
  }
};

/// Loop order: chunks of rows, groups of lane tiles, K tiles, row blocks, the tiles of the group. The panel of the
/// group stays in the innermost cache, the sums of a chunk in the next one; weights are read once per group.
template <class V>
void dense_chunk(const DensePack& pack, const ColumnInput& input, const ColumnPart& part, float* y,
                 std::size_t y_stride, const Epilogue& epilogue) {
  static constexpr DenseTiles<V> tiles{std::make_integer_sequence<int, V::kTileRows>()};
  alignas(64) float panel[kDensePanelFloats];

  const Activation& activation = epilogue.activation;
  const bool curved = activation.curve != Curve::clamp;
  DenseTile<V> tile;
  tile.low = curved ? -__builtin_inff() : activation.low;
  tile.high = curved ? __builtin_inff() : activation.high;
  tile.y_stride = y_stride;
  tile.residual_stride = epilogue.residual_stride;
  const bool direct = input.window == nullptr && !pack.collect;

  const int lanes = static_cast<int>(part.lane_end - part.lane_begin);
  const int vectors = (lanes + V::width - 1) / V::width;
  const int fitting = static_cast<int>(kDensePanelFloats / pack.k_tile) / V::width;
  const int most = fitting < kDenseGroupTiles * V::kTileVectors ? fitting : kDenseGroupTiles * V::kTileVectors;
  const int groups = (vectors + most - 1) / most;
  int group_begin = 0;  // lane
  for (int group = 0; group < groups; ++group) {
    const int group_vectors = vectors / groups + (group < vectors % groups ? 1 : 0);
    const int left = lanes - group_begin;
    const int group_lanes = left < group_vectors * V::width ? left : group_vectors * V::width;
    const int group_tiles = (group_vectors + V::kTileVectors - 1) / V::kTileVectors;
    const int pitch = group_vectors * V::width;
    const std::size_t first_lane = part.lane_begin + static_cast<std::size_t>(group_begin);
    const BlockCollector<V> collector(input, first_lane, group_lanes);

    std::size_t k = 0;
    do {
      const std::size_t k_end = k + pack.k_tile < pack.k ? k + pack.k_tile : pack.k;
      tile.first = k == 0;
      tile.last = k_end == pack.k;
      tile.k = k_end - k;
      const float* x = panel;
      tile.x_stride = pitch;
      if (direct) {
        x = input.x + static_cast<std::ptrdiff_t>(k) * input.row_stride + first_lane;
        tile.x_stride = input.row_stride;
      } else {
        collector.collect(k, k_end, panel, pitch);
      }
      const float* weights = pack.weights + k * pack.rows;
      for (std::size_t row = part.row_begin; row < part.row_end; row += V::kTileRows) {
        const std::size_t rows = part.row_end - row < V::kTileRows ? part.row_end - row : V::kTileRows;
        tile.w = weights + row * tile.k;
        tile.bias = epilogue.bias != nullptr ? epilogue.bias + row : nullptr;
        int vector = 0;
        for (int t = 0; t < group_tiles; ++t) {
          const int tile_vectors = group_vectors / group_tiles + (t < group_vectors % group_tiles ? 1 : 0);
          const int offset = vector * V::width;
          const int tile_left = group_lanes - offset;
          const bool partial = tile_left < tile_vectors * V::width;
          const int tile_lanes = partial ? tile_left : tile_vectors * V::width;
          tile.mask = V::lanes(tile_lanes - (tile_vectors - 1) * V::width);
          tile.x = x + offset;
          tile.y = y + row * y_stride + group_begin + offset;
          tile.residual = epilogue.residual != nullptr
                              ? epilogue.residual + row * epilogue.residual_stride + group_begin + offset
                              : nullptr;
          tiles.kernel[rows - 1][tile_vectors - 1][partial][t == 0](tile);
          if (curved && tile.last) activate<V>(activation, tile.y, y_stride, static_cast<int>(rows), tile_lanes);
          vector += tile_vectors;
        }
      }
      k = k_end;
    } while (k < pack.k);
    group_begin += group_lanes;
  }
}

template <class V>
void dense_columns(const DensePack& pack, const ColumnInput& input, const ColumnPart& part, float* y,
                   std::size_t y_stride, const Epilogue& epilogue) {
  const std::size_t rows = part.row_end - part.row_begin;
  const std::size_t chunks = (rows + kDenseChunkRows - 1) / kDenseChunkRows;
  const std::size_t blocks = (rows + V::kTileRows - 1) / V::kTileRows;
  ColumnPart chunk = part;
  for (std::size_t i = 0; i < chunks; ++i) {
    chunk.row_begin = part.row_begin + blocks * i / chunks * V::kTileRows;
    chunk.row_end = i + 1 == chunks ? part.row_end : part.row_begin + blocks * (i + 1) / chunks * V::kTileRows;
    dense_chunk<V>(pack, input, chunk, y, y_stride, epilogue);
  }
}

}  // namespace sparse_run::cpu
