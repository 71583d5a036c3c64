// Groups of four sparse rows times a column from a panel in the innermost cache: templates over a vector type.
#pragma once

#include <utility>

#include "cpu/column/activation_impl.hpp"
#include "cpu/column/collect_impl.hpp"
#include "cpu/sparse/block_kernels.hpp"
#include "cpu/sparse/strip_impl.hpp"

namespace sparse_run::cpu {

/// Vectors of lanes at once: four rows of sums, one row of activations and a weight stay in registers.
template <class V>
inline constexpr int kSparseBlockVectors = V::kRegisters == 32 ? 4 : 2;

struct SparseBlockCall {
  const SparseBlockGroup* groups;
  std::size_t group_count;
  const std::uint16_t* at;
  const float* weights;
  const float* panel;
  std::size_t rows;
  float* y;
  std::size_t y_stride;
  const float* bias;
  const float* residual;
  std::size_t residual_stride;
  float low, high;
  const Activation* curve;  // applied to finished rows when not null
  bool first, last;         // K tile
  PanelAhead next;          // the input of the tile after this one, fetched into the second-level cache on the way
  int lanes;                // results per row
};

template <class V, int Vectors, bool Whole>
[[gnu::noinline]] void sparse_block_tile(const SparseBlockCall& call, typename V::Mask mask) {
  using F = typename V::F;
  constexpr int kRows = static_cast<int>(kSparseBlockRows);
  const auto load = [&](const float* p, int v) {
    return Whole || v + 1 < Vectors ? V::load(p + v * V::width) : V::load(p + v * V::width, mask);
  };
  const char* next = call.next.at;
  std::uint32_t next_rows = call.next.rows;
  const std::size_t next_share = call.group_count == 0 ? 0 : (next_rows + call.group_count - 1) / call.group_count;
  const std::uint16_t* at = call.at;
  const float* weight = call.weights;
  for (std::size_t g = 0; g < call.group_count; ++g) {
    const SparseBlockGroup group = call.groups[g];
    const int live = call.rows - group.row < kSparseBlockRows ? static_cast<int>(call.rows - group.row) : kRows;
    if (g + 2 < call.group_count) {
      const float* ahead = call.y + call.groups[g + 2].row * call.y_stride;
      for (int r = 0; r < kRows && call.groups[g + 2].row + static_cast<std::size_t>(r) < call.rows; ++r) {
        for (int v = 0; v < Vectors; v += 64 / (V::width * 4)) {
          __builtin_prefetch(ahead + static_cast<std::size_t>(r) * call.y_stride + v * V::width, 1);
        }
      }
    }
    for (std::size_t i = next_share; i > 0 && next_rows > 0; --i, --next_rows, next += call.next.stride) {
      for (std::uint32_t byte = 0; byte < call.next.bytes; byte += 64) __builtin_prefetch(next + byte, 0, 2);
    }
    F sum[kRows][Vectors];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const std::size_t row = group.row + static_cast<std::size_t>(r < live ? r : 0);  // what is read twice is dropped
      if (!call.first) {
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) sum[r][v] = load(call.y + row * call.y_stride, v);
        continue;
      }
      const F start = call.bias != nullptr ? V::broadcast(call.bias[row]) : V::zero();
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) {
        sum[r][v] = start;
        if (call.residual != nullptr) {
          sum[r][v] = V::add(start, load(call.residual + row * call.residual_stride, v));
        }
      }
    }
    for (std::uint32_t i = group.entries; i > 0; --i, ++at, weight += kRows) {
      const float* from = call.panel + *at;
      F x[Vectors];
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) x[v] = V::load(from + v * V::width);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const F w = V::broadcast(weight[r]);
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) sum[r][v] = V::fma(w, x[v], sum[r][v]);
      }
    }
    const F low = V::broadcast(call.low), high = V::broadcast(call.high);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      if (r >= live) continue;
      float* to = call.y + (group.row + static_cast<std::size_t>(r)) * call.y_stride;
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) {
        F value = sum[r][v];
        if (call.last) value = V::min(high, V::max(low, value));
        if (Whole || v + 1 < Vectors) {
          V::store(to + v * V::width, value);
        } else {
          V::store(to + v * V::width, value, mask);
        }
      }
    }
    if (call.curve != nullptr) {
      activate<V>(*call.curve, call.y + group.row * call.y_stride, call.y_stride, live, call.lanes);
    }
  }
}

/// sparse_block_tile by [vectors - 1][whole].
template <class V>
struct SparseBlockTiles {
  using Kernel = void (*)(const SparseBlockCall&, typename V::Mask);
  Kernel kernel[kSparseBlockVectors<V>][2];

  template <int... Vectors>
  constexpr explicit SparseBlockTiles(std::integer_sequence<int, Vectors...>)
      : kernel{{sparse_block_tile<V, Vectors + 1, false>, sparse_block_tile<V, Vectors + 1, true>}...} {}
};

template <class V>
void sparse_blocks(const SparseBlockPack& pack, const ColumnInput& input, std::size_t lane_begin, std::size_t lane_end,
                   float* y, std::size_t y_stride, const Epilogue& epilogue) {
  static constexpr SparseBlockTiles<V> tiles{std::make_integer_sequence<int, kSparseBlockVectors<V>>()};
  constexpr std::size_t width = V::width, most = kSparseBlockVectors<V>;
  alignas(64) float panel[kSparseBlockPanelFloats];
  const bool curved = epilogue.activation.curve != Curve::clamp;
  SparseBlockCall call;
  call.panel = panel;
  call.rows = pack.rows;
  call.y_stride = y_stride;
  call.bias = epilogue.bias;
  call.residual_stride = epilogue.residual_stride;
  call.low = curved ? -__builtin_inff() : epilogue.activation.low;
  call.high = curved ? __builtin_inff() : epilogue.activation.high;
  const std::size_t lanes = lane_end - lane_begin, vectors = (lanes + width - 1) / width;
  const std::size_t blocks = (vectors + most - 1) / most;
  for (std::size_t block = 0, lane = 0; block < blocks; ++block) {
    const std::size_t own = vectors / blocks + (block < vectors % blocks ? 1 : 0);
    const std::size_t left = lanes - lane, count = left < own * width ? left : own * width;
    const bool whole = count == own * width;
    const auto mask = V::lanes(static_cast<int>(count - (own - 1) * width));
    const BlockCollector<V> collector{input, lane_begin + lane, static_cast<int>(count)};
    call.lanes = static_cast<int>(count);
    call.y = y + lane;
    call.residual = epilogue.residual != nullptr ? epilogue.residual + lane : nullptr;
    for (std::size_t i = 0; i < pack.tile_count; ++i) {
      const SparseBlockTile& tile = pack.tiles[i];
      collector.collect(tile.k_begin, tile.k_end, panel, static_cast<int>(most * width));
      const bool another = i + 1 < pack.tile_count || block + 1 < blocks;
      const SparseBlockTile& after = pack.tiles[i + 1 < pack.tile_count ? i + 1 : 0];
      call.next = {};
      if (another && input.window == nullptr) {
        const float* from = input.x + static_cast<std::ptrdiff_t>(after.k_begin) * input.row_stride + lane_begin +
                            lane + (i + 1 < pack.tile_count ? 0 : count);
        call.next = {reinterpret_cast<const char*>(from), input.row_stride * 4,
                     static_cast<std::uint32_t>(after.k_end - after.k_begin), static_cast<std::uint32_t>(count) * 4};
      }
      call.first = i == 0;
      call.last = i + 1 == pack.tile_count;
      call.curve = call.last && curved ? &epilogue.activation : nullptr;
      call.groups = pack.groups + tile.first_group;
      call.group_count = tile.groups;
      call.at = pack.at + tile.first_entry;
      call.weights = pack.weights + tile.first_entry * kSparseBlockRows;
      tiles.kernel[own - 1][whole ? 1 : 0](call, mask);
    }
    lane += count;
  }
}

template <class V>
constexpr SparseBlockKernels make_sparse_block_kernels(Isa isa) {
  return {.isa = isa, .width = V::width, .vectors = kSparseBlockVectors<V>, .run = sparse_blocks<V>};
}

}  // namespace sparse_run::cpu
