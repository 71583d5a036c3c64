// Sparse weights times a column, two rows at a time from a panel in the innermost cache: templates over a vector type.
#pragma once

#include <utility>

#include "cpu/column/activation_impl.hpp"
#include "cpu/column/collect_impl.hpp"
#include "cpu/sparse/kernels.hpp"

// Measured on an AVX-512 server core and not used, because one load per multiply-add is what bounds this loop: one row
// at a time (8% slower at 70-80% zeros), four rows (3-6% slower), weights broadcast from a register (6% slower), sums
// kept in a contiguous buffer instead of y (no gain), panels read in place instead of collected (10-30% slower when
// rows are not aligned or far apart).

namespace sparse_run::cpu {

template <class V>
struct SparseCall {
  const SparseStep* steps;
  const std::uint32_t* rows;
  const SparseRun* runs;
  std::size_t run_count;
  const float* panel;
  float* y;  // row r at y + r · y_stride
  std::size_t y_stride;
  const float* bias;      // of row 0, or null
  const float* residual;  // like y, or null
  std::size_t residual_stride;
  float low, high;
  const Activation* curve;  // applied to finished rows when not null
  bool first, last;         // K tile
  int lanes;
  typename V::Mask mask;  // of the last vector, when Partial
};

template <class V, int Vectors, bool Partial>
struct SparseRow {
  using F = typename V::F;
  SPARSE_RUN_INLINE F load(const SparseCall<V>& call, const float* p, int v) {
    return Partial && v == Vectors - 1 ? V::load(p + v * V::width, call.mask) : V::load(p + v * V::width);
  }
  SPARSE_RUN_INLINE void store(const SparseCall<V>& call, float* p, int v, F x) {
    if (Partial && v == Vectors - 1) {
      V::store(p + v * V::width, x, call.mask);
    } else {
      V::store(p + v * V::width, x);
    }
  }
};

template <class V, int Vectors, bool Partial>
[[gnu::noinline]] void sparse_tile(const SparseCall<V>& call) {
  using F = typename V::F;
  using Row = SparseRow<V, Vectors, Partial>;
  const SparseStep* step = call.steps;
  const std::uint32_t* rows = call.rows;
  const float* panel = call.panel;
  float* const y = call.y;
  const std::size_t y_stride = call.y_stride;
  const SparseRun* const runs_end = call.runs + call.run_count;
  for (const SparseRun* run = call.runs; run != runs_end; ++run) {
    const std::uint32_t steps = run->steps;
    for (std::uint32_t pair = run->pairs; pair > 0; --pair, rows += 2) {
#pragma GCC unroll 2
      for (std::size_t p = 0; p < 2; ++p) {
        const float* ahead = y + rows[2 * kSparseLookahead + p] * y_stride;
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; v += 64 / (V::width * 4)) __builtin_prefetch(ahead + v * V::width, 1);
      }
      F sum[2][Vectors];
      if (call.first) {
#pragma GCC unroll 2
        for (int p = 0; p < 2; ++p) {
          const F start = call.bias != nullptr ? V::broadcast(call.bias[rows[p]]) : V::zero();
#pragma GCC unroll 8
          for (int v = 0; v < Vectors; ++v) sum[p][v] = start;
        }
        if (call.residual != nullptr) {
#pragma GCC unroll 2
          for (int p = 0; p < 2; ++p) {
            const float* residual = call.residual + rows[p] * call.residual_stride;
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) sum[p][v] = V::add(sum[p][v], Row::load(call, residual, v));
          }
        }
      } else {
#pragma GCC unroll 2
        for (int p = 0; p < 2; ++p) {
          const float* from = y + rows[p] * y_stride;
#pragma GCC unroll 8
          for (int v = 0; v < Vectors; ++v) sum[p][v] = Row::load(call, from, v);
        }
      }
      for (const SparseStep* const end = step + steps; step != end; ++step) {
        std::uint32_t at;
        __builtin_memcpy(&at, step->at, sizeof at);  // one load for both places
#pragma GCC unroll 2
        for (int p = 0; p < 2; ++p, at >>= 16) {
          const F weight = V::broadcast(step->weight[p]);
          const float* x = panel + (at & 0xffffu);
#pragma GCC unroll 8
          for (int v = 0; v < Vectors; ++v) sum[p][v] = V::fma(weight, V::load(x + v * V::width), sum[p][v]);
        }
      }
      if (call.last) {
        const F low = V::broadcast(call.low), high = V::broadcast(call.high);
#pragma GCC unroll 2
        for (int p = 0; p < 2; ++p) {
#pragma GCC unroll 8
          for (int v = 0; v < Vectors; ++v) sum[p][v] = V::min(high, V::max(low, sum[p][v]));
        }
      }
#pragma GCC unroll 2
      for (int p = 0; p < 2; ++p) {
        float* to = y + rows[p] * y_stride;
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) Row::store(call, to, v, sum[p][v]);
      }
      if (call.curve != nullptr) {
        activate<V>(*call.curve, y + rows[0] * y_stride, 0, 1, call.lanes);
        if (rows[1] != rows[0]) activate<V>(*call.curve, y + rows[1] * y_stride, 0, 1, call.lanes);
      }
    }
  }
}

/// sparse_tile by [vectors - 1][partial].
template <class V>
struct SparseTiles {
  using Kernel = void (*)(const SparseCall<V>&);
  Kernel kernel[kSparseVectors][2];

  template <int... Vectors>
  constexpr explicit SparseTiles(std::integer_sequence<int, Vectors...>)
      : kernel{{sparse_tile<V, Vectors + 1, false>, sparse_tile<V, Vectors + 1, true>}...} {}
};

template <class V>
void sparse_columns(const SparsePack& pack, const ColumnInput& input, std::size_t lane_begin, std::size_t lane_end,
                    float* y, std::size_t y_stride, const Epilogue& epilogue) {
  static constexpr SparseTiles<V> tiles{std::make_integer_sequence<int, kSparseVectors>()};
  alignas(64) float panel[kSparsePanelFloats];
  const int pitch = pack.vectors * V::width;

  const Activation& activation = epilogue.activation;
  const bool curved = activation.curve != Curve::clamp;
  SparseCall<V> call;
  call.panel = panel;
  call.y_stride = y_stride;
  call.bias = epilogue.bias;
  call.residual_stride = epilogue.residual_stride;
  call.low = curved ? -__builtin_inff() : activation.low;
  call.high = curved ? __builtin_inff() : activation.high;

  const std::size_t lanes = lane_end - lane_begin;
  const std::size_t vectors = (lanes + V::width - 1) / V::width;
  const auto most = static_cast<std::size_t>(pack.vectors);
  const std::size_t blocks = (vectors + most - 1) / most;
  std::size_t lane = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    const auto block_vectors = static_cast<int>(vectors / blocks + (block < vectors % blocks ? 1 : 0));
    const std::size_t left = lanes - lane;
    const bool partial = left < static_cast<std::size_t>(block_vectors * V::width);
    call.lanes = partial ? static_cast<int>(left) : block_vectors * V::width;
    call.mask = V::lanes(call.lanes - (block_vectors - 1) * V::width);
    call.y = y + lane;
    call.residual = epilogue.residual != nullptr ? epilogue.residual + lane : nullptr;
    const BlockCollector<V> collector(input, lane_begin + lane, call.lanes);
    for (std::size_t i = 0; i < pack.tile_count; ++i) {
      const SparseTile& tile = pack.tiles[i];
      collector.collect(tile.k_begin, tile.k_end, panel, pitch);
      float* zeros = panel + (tile.k_end - tile.k_begin) * static_cast<std::size_t>(pitch);
      for (int v = 0; v < block_vectors; ++v) V::store(zeros + v * V::width, V::zero());
      call.first = i == 0;
      call.last = i + 1 == pack.tile_count;
      call.steps = pack.steps + tile.first_step;
      call.rows = pack.rows + tile.first_row;
      call.runs = pack.runs + tile.first_run;
      call.run_count = tile.runs;
      call.curve = curved && call.last ? &activation : nullptr;
      tiles.kernel[block_vectors - 1][partial](call);
    }
    lane += static_cast<std::size_t>(call.lanes);
  }
}

}  // namespace sparse_run::cpu
