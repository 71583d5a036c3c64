// Sparse weights times a column, two rows at a time from a panel in the innermost cache: templates over a vector type.
#pragma once

#include <type_traits>
#include <utility>

#include "cpu/column/activation_impl.hpp"
#include "cpu/column/collect_impl.hpp"
#include "cpu/sparse/kernels.hpp"
#include "cpu/sparse/strip_impl.hpp"
#include "cpu/sparse/weight_storage_impl.hpp"

// Measured on an AVX-512 server core and not used, because one load per multiply-add is what bounds this loop: one row
// at a time (8% slower at 70-80% zeros), four rows (3-6% slower), weights broadcast from a register (6% slower), sums
// kept in a contiguous buffer instead of y (no gain), panels read in place instead of collected (10-30% slower when
// rows are not aligned or far apart).

namespace sparse_run::cpu {

template <class V>
struct SparseCall {
  const SparseStep* steps;
  const SparseHalfStep* half_steps;  // in place of steps, when not null
  const std::uint32_t* rows;
  const SparseRun* runs;
  std::size_t run_count;
  std::uint32_t pairs;  // of all runs
  const float* panel;
  float* y;  // row r at y + r · y_stride
  std::size_t y_stride;
  const float* bias;      // of row 0, or null
  const float* residual;  // like y, or null
  std::size_t residual_stride;
  float low, high;
  const Activation* curve;                 // applied to finished rows when not null
  bool first, last;                        // K tile
  PanelAhead next;                         // the input of the tile after this one
  int lanes;                               // results per row
  typename V::Mask masks[kSparseVectors];  // lanes of each vector that are results
  int starts[kSparseVectors];              // results before each vector
};

/// Which lanes of a block are results.
enum class SparseLanes {
  whole,    ///< all
  partial,  ///< all but the end of the last vector
  begun,    ///< the first few of each vector: results lie one after the other in y
  cut,      ///< any: results lie one after the other in y
};

template <class V, int Vectors, SparseLanes Lanes>
struct SparseRow {
  using F = typename V::F;
  SPARSE_RUN_INLINE F load(const SparseCall<V>& call, const float* p, int v) {
    if constexpr (Lanes == SparseLanes::cut) return V::expand_load(p + call.starts[v], call.masks[v]);
    if constexpr (Lanes == SparseLanes::begun) return V::load(p + call.starts[v], call.masks[v]);
    if (Lanes == SparseLanes::partial && v == Vectors - 1) return V::load(p + v * V::width, call.masks[v]);
    return V::load(p + v * V::width);
  }
  SPARSE_RUN_INLINE void store(const SparseCall<V>& call, float* p, int v, F x) {
    if constexpr (Lanes == SparseLanes::cut) {
      V::compress_store(p + call.starts[v], x, call.masks[v]);
    } else if constexpr (Lanes == SparseLanes::begun) {
      V::store(p + call.starts[v], x, call.masks[v]);
    } else if (Lanes == SparseLanes::partial && v == Vectors - 1) {
      V::store(p + v * V::width, x, call.masks[v]);
    } else {
      V::store(p + v * V::width, x);
    }
  }
};

template <class V>
[[gnu::always_inline]] inline void broadcast_weights(const SparseStep& step, typename V::F (&weight)[2]) {
  weight[0] = V::broadcast(step.weight[0]);
  weight[1] = V::broadcast(step.weight[1]);
}
template <class V>
[[gnu::always_inline]] inline void broadcast_weights(const SparseHalfStep& step, typename V::F (&weight)[2]) {
  StoredWeights<V>::broadcast_pair(step.weight, weight[0], weight[1]);
}

template <class V, int Vectors, SparseLanes Lanes, class Step>
[[gnu::noinline]] void sparse_tile(const SparseCall<V>& call) {
  using F = typename V::F;
  using Row = SparseRow<V, Vectors, Lanes>;
  const Step* step;
  if constexpr (std::is_same_v<Step, SparseStep>) {
    step = call.steps;
  } else {
    step = call.half_steps;
  }
  const std::uint32_t* rows = call.rows;
  const float* panel = call.panel;
  float* const y = call.y;
  const std::size_t y_stride = call.y_stride;
  const SparseRun* const runs_end = call.runs + call.run_count;
  // The next panel is fetched into the second-level cache, a few rows with each pair: its rows lie too far apart for
  // the hardware to foresee.
  const float* const residual_ahead = call.first && call.residual != call.y ? call.residual : nullptr;
  const char* next = call.next.at;
  std::uint32_t next_rows = call.next.rows;
  const std::uint32_t next_share = call.pairs == 0 ? 0 : (next_rows + call.pairs - 1) / call.pairs;
  for (const SparseRun* run = call.runs; run != runs_end; ++run) {
    const std::uint32_t steps = run->steps;
    const std::size_t bytes = steps * sizeof(Step);
    for (std::uint32_t pair = run->pairs; pair > 0; --pair, rows += 2) {
      const char* const weights_ahead = reinterpret_cast<const char*>(step) + kSparseWeightsAhead;
      for (std::size_t at = 0; at <= bytes; at += 64) __builtin_prefetch(weights_ahead + at);
      for (std::uint32_t i = next_share; i > 0 && next_rows > 0; --i, --next_rows, next += call.next.stride) {
        for (std::uint32_t at = 0; at < call.next.bytes; at += 64) __builtin_prefetch(next + at, 0, 2);
      }
#pragma GCC unroll 2
      for (std::size_t p = 0; p < 2; ++p) {
        const float* ahead = y + rows[2 * kSparseLookahead + p] * y_stride;
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; v += 64 / (V::width * 4)) __builtin_prefetch(ahead + v * V::width, 1);
        if (residual_ahead != nullptr) {
          const float* residual = residual_ahead + rows[2 * kSparseLookahead + p] * call.residual_stride;
#pragma GCC unroll 8
          for (int v = 0; v < Vectors; v += 64 / (V::width * 4)) __builtin_prefetch(residual + v * V::width);
        }
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
      for (const Step* const end = step + steps; step != end; ++step) {
        std::uint32_t at;
        __builtin_memcpy(&at, step->at, sizeof at);  // one load for both places
        F weight[2];
        broadcast_weights<V>(*step, weight);
#pragma GCC unroll 2
        for (int p = 0; p < 2; ++p, at >>= 16) {
          const float* x = panel + (at & 0xffffu);
#pragma GCC unroll 8
          for (int v = 0; v < Vectors; ++v) sum[p][v] = V::fma(weight[p], V::load(x + v * V::width), sum[p][v]);
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

/// sparse_tile by [vectors - 1][lanes], and with weights in bf16, which strips do not have.
template <class V>
struct SparseTiles {
  using Kernel = void (*)(const SparseCall<V>&);
  Kernel kernel[kSparseVectors][4];
  Kernel halves[kSparseVectors][2];

  template <int... Vectors>
  constexpr explicit SparseTiles(std::integer_sequence<int, Vectors...>)
      : kernel{{sparse_tile<V, Vectors + 1, SparseLanes::whole, SparseStep>,
                sparse_tile<V, Vectors + 1, SparseLanes::partial, SparseStep>,
                sparse_tile<V, Vectors + 1, SparseLanes::begun, SparseStep>,
                sparse_tile<V, Vectors + 1, SparseLanes::cut, SparseStep>}...},
        halves{{sparse_tile<V, Vectors + 1, SparseLanes::whole, SparseHalfStep>,
                sparse_tile<V, Vectors + 1, SparseLanes::partial, SparseHalfStep>}...} {}
};

/// All rows of one block: a tile of the input after the other. `another` block of as many lanes comes after it.
template <class V, class Collector>
void sparse_block(const SparsePack& pack, const Collector& collector, SparseCall<V>& call, const Activation* curve,
                  int vectors, SparseLanes lanes, bool another, float* panel) {
  static constexpr SparseTiles<V> tiles{std::make_integer_sequence<int, kSparseVectors>()};
  for (std::size_t i = 0; i < pack.tile_count; ++i) {
    const SparseTile& tile = pack.tiles[i];
    collector.collect(tile.k_begin, tile.k_end, panel);
    const bool last = i + 1 == pack.tile_count;
    const SparseTile& after = pack.tiles[last ? 0 : i + 1];
    call.next = last && !another ? PanelAhead{} : collector.ahead(after.k_begin, after.k_end, last ? call.lanes : 0);
    for (int v = 0; v < vectors; ++v) V::store(panel + tile.zeros + v * V::width, V::zero());
    call.first = i == 0;
    call.last = last;
    const bool in_halves = pack.half_steps != nullptr;
    call.steps = in_halves ? nullptr : pack.steps + tile.first_step;
    call.half_steps = in_halves ? pack.half_steps + tile.first_step : nullptr;
    call.rows = pack.rows + tile.first_row;
    call.runs = pack.runs + tile.first_run;
    call.run_count = tile.runs;
    call.pairs = tile.pairs;
    call.curve = call.last ? curve : nullptr;
    const auto which = static_cast<std::size_t>(lanes);
    (in_halves ? tiles.halves[vectors - 1][which] : tiles.kernel[vectors - 1][which])(call);
  }
}

/// Vectors of block `block` when `vectors` are shared evenly among `blocks`.
inline int even_share(std::size_t vectors, std::size_t blocks, std::size_t block) {
  return static_cast<int>(vectors / blocks + (block < vectors % blocks ? 1 : 0));
}

/// Rows of X, `pitch` floats apart.
template <class V>
struct RowsCollector {
  BlockCollector<V> block;
  const ColumnInput& input;
  std::size_t lane;
  int lanes, pitch;

  void collect(std::size_t k_begin, std::size_t k_end, float* panel) const {
    block.collect(k_begin, k_end, panel, pitch);
  }
  /// What collect(k_begin, k_end) reads `shift` lanes further on. Windows are not foreseen: strips read them.
  PanelAhead ahead(std::size_t k_begin, std::size_t k_end, int shift) const {
    if (input.window != nullptr) return {};
    const float* x = input.x + static_cast<std::ptrdiff_t>(k_begin) * input.row_stride + lane + shift;
    return {reinterpret_cast<const char*>(x), input.row_stride * 4, static_cast<std::uint32_t>(k_end - k_begin),
            static_cast<std::uint32_t>(lanes) * 4};
  }
};

/// Lanes [lane_begin, lane_end) of a result whose input is collected row by row of X.
template <class V>
void sparse_collected(const SparsePack& pack, const ColumnInput& input, std::size_t lane_begin, std::size_t lane_end,
                      SparseCall<V>& call, float* y, const Epilogue& epilogue, const Activation* curve, float* panel) {
  const std::size_t lanes = lane_end - lane_begin;
  const std::size_t vectors = (lanes + V::width - 1) / V::width;
  const auto most = static_cast<std::size_t>(pack.vectors);
  const std::size_t blocks = (vectors + most - 1) / most;
  std::size_t lane = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    const int block_vectors = even_share(vectors, blocks, block);
    const std::size_t left = lanes - lane;
    const bool partial = left < static_cast<std::size_t>(block_vectors * V::width);
    call.lanes = partial ? static_cast<int>(left) : block_vectors * V::width;
    call.masks[block_vectors - 1] = V::lanes(call.lanes - (block_vectors - 1) * V::width);
    call.y = y + lane;
    call.residual = epilogue.residual != nullptr ? epilogue.residual + lane : nullptr;
    const RowsCollector<V> collector{
        {input, lane_begin + lane, call.lanes}, input, lane_begin + lane, call.lanes, pack.vectors * V::width};
    sparse_block<V>(pack, collector, call, curve, block_vectors, partial ? SparseLanes::partial : SparseLanes::whole,
                    block + 1 < blocks, panel);
    lane += static_cast<std::size_t>(call.lanes);
  }
}

/// The same by strips, image after image. Blocks are cut from the strip's lanes, which count `pitch` to an output row.
template <class V>
void sparse_strips(const SparsePack& pack, const ColumnInput& input, std::size_t lane_begin, std::size_t lane_end,
                   SparseCall<V>& call, float* y, const Epilogue& epilogue, const Activation* curve, float* panel) {
  const Window& window = *input.window;
  const auto width = static_cast<std::size_t>(window.out_width), pitch = static_cast<std::size_t>(pack.strip->pitch);
  const std::size_t plane = width * static_cast<std::size_t>(window.out_height);
  const auto most = static_cast<std::size_t>(pack.vectors);
  std::size_t done = 0;
  while (lane_begin < lane_end) {
    const std::size_t image = lane_begin / plane, first = lane_begin % plane;
    const std::size_t end = lane_end - image * plane < plane ? lane_end - image * plane : plane;
    const float* x = input.x + static_cast<std::ptrdiff_t>(image) * window.image_stride;
    std::size_t flat = first / width * pitch + first % width;
    const std::size_t flat_end = (end - 1) / width * pitch + (end - 1) % width + 1;
    const std::size_t vectors = (flat_end - flat + V::width - 1) / V::width, blocks = (vectors + most - 1) / most;
    for (std::size_t block = 0; block < blocks; ++block) {
      const int block_vectors = even_share(vectors, blocks, block);
      call.y = y + done;
      call.residual = epilogue.residual != nullptr ? epilogue.residual + done : nullptr;
      call.lanes = 0;
      bool whole = true, begun = true;
      std::size_t column = flat % pitch, left = flat_end - flat;
      for (int v = 0; v < block_vectors; ++v) {
        unsigned results = 0;
        for (int lane = 0; lane < V::width && left > 0; ++lane, --left) {
          if (column < width) results |= 1u << lane;
          if (++column == pitch) column = 0;
        }
        whole = whole && results == (1ull << V::width) - 1;
        begun = begun && (results & (results + 1)) == 0;
        call.masks[v] = V::lanes_of(results);
        call.starts[v] = call.lanes;
        call.lanes += __builtin_popcount(results);
      }
      if (call.lanes > 0) {
        const StripCollector<V> collector(*pack.strip, window, x, flat);
        const SparseLanes lanes = whole ? SparseLanes::whole : begun ? SparseLanes::begun : SparseLanes::cut;
        sparse_block<V>(pack, collector, call, curve, block_vectors, lanes, block + 1 < blocks, panel);
      }
      done += static_cast<std::size_t>(call.lanes);
      flat += static_cast<std::size_t>(block_vectors * V::width);
    }
    lane_begin = image * plane + end;
  }
}

template <class V>
void sparse_columns(const SparsePack& pack, const ColumnInput& input, std::size_t lane_begin, std::size_t lane_end,
                    float* y, std::size_t y_stride, const Epilogue& epilogue) {
  alignas(64) float panel[kSparsePanelFloats];
  const bool curved = epilogue.activation.curve != Curve::clamp;
  SparseCall<V> call;
  call.panel = panel;
  call.y_stride = y_stride;
  call.bias = epilogue.bias;
  call.residual_stride = epilogue.residual_stride;
  call.low = curved ? -__builtin_inff() : epilogue.activation.low;
  call.high = curved ? __builtin_inff() : epilogue.activation.high;
  const Activation* curve = curved ? &epilogue.activation : nullptr;
  if (pack.strip != nullptr) {
    sparse_strips<V>(pack, input, lane_begin, lane_end, call, y, epilogue, curve, panel);
  } else {
    sparse_collected<V>(pack, input, lane_begin, lane_end, call, y, epilogue, curve, panel);
  }
}

}  // namespace sparse_run::cpu
