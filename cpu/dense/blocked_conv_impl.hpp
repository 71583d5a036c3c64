// Convolution of blocked images, register-blocked over output channels and positions: templates over a vector type.
#pragma once

#include <utility>

#include "cpu/column/activation_impl.hpp"
#include "cpu/column/vec.hpp"
#include "cpu/dense/blocked.hpp"

namespace sparse_run::cpu {

/// The tile of a vector type: its sums, a row of weights and one broadcast element fill the registers. Taking positions
/// as the long side makes every weight vector serve many elements; an element is broadcast once for all vectors.
template <class V>
struct BlockedShape {
  static constexpr int kVectors = kBlockChannels / V::width;                    // of a block
  static constexpr int kBlocks = V::kRegisters == 32 && kVectors == 1 ? 2 : 1;  // output blocks of a tile
  static constexpr int kPositions = V::kRegisters == 32 ? 14 : kVectors == 2 ? 6 : 2;
};

/// Weights of so many floats stay in a 32 KiB cache while all positions of a call pass.
inline constexpr int kBlockedChunkFloats = 6144;
/// The first tile of a chunk streams its weights from the outer caches; asked for this far ahead.
inline constexpr int kBlockedPrefetchFloats = 512;

/// Rows · Columns output positions of Blocks output blocks over some input blocks and taps.
struct BlockedTile {
  const float* x;           // input of the first position's first tap
  std::ptrdiff_t x_block;   // to the next input block
  std::ptrdiff_t x_second;  // to the input of the second row of positions
  const std::ptrdiff_t* taps;
  int tap_count;
  int blocks;
  const float* w;  // [input block][tap][Inner][Blocks · 16], first tap of `taps`
  std::ptrdiff_t w_block;
  float* y;
  BlockedPlace place;
  const float* residual;  // like y, or null
  const float* bias;      // [Blocks · 16]
  float low, high;
  bool first, last;    // chunk of the sum
  const float* ahead;  // weights of the next chunk that this tile asks for
  int ahead_lines;     // 64-byte lines of them per tap
};

/// Inner channels lie side by side at each position (16, or 1 for plain planes); Step floats between the inputs of
/// neighbouring positions.
template <class V, int Blocks, int Rows, int Columns, int Inner, int Step>
[[gnu::noinline]] void blocked_tile(const BlockedTile& t) {
  using F = typename V::F;
  constexpr int kPer = BlockedShape<V>::kVectors;
  constexpr int kVectors = Blocks * kPer;
  constexpr int kPositions = Rows * Columns;
  F sum[kPositions][kVectors];
  const auto at = [&](int p, int v) {
    return (v / kPer) * t.place.block + (p / Columns) * t.place.row + (p % Columns) * t.place.column +
           (v % kPer) * V::width;
  };
  if (t.first) {
#pragma GCC unroll 32
    for (int p = 0; p < kPositions; ++p) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[p][v] = V::load(t.bias + v * V::width);
    }
    if (t.residual != nullptr) {
#pragma GCC unroll 32
      for (int p = 0; p < kPositions; ++p) {
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) sum[p][v] = V::add(sum[p][v], V::load(t.residual + at(p, v)));
      }
    }
  } else {
#pragma GCC unroll 32
    for (int p = 0; p < kPositions; ++p) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[p][v] = V::load(t.y + at(p, v));
    }
  }

  const std::ptrdiff_t second = t.x_second;
  const float* ahead = t.ahead;
  const int ahead_lines = t.ahead_lines;
  const std::ptrdiff_t* const taps_end = t.taps + t.tap_count;
  for (int b = 0; b < t.blocks; ++b) {
    const float* const xb = t.x + b * t.x_block;
    const float* w = t.w + b * t.w_block;
    for (const std::ptrdiff_t* tap = t.taps; tap != taps_end; ++tap) {
      const float* x = xb + *tap;
      for (int line = 0; line < ahead_lines; ++line, ahead += kBlockChannels) __builtin_prefetch(ahead, 0, 2);  // to L2
#pragma GCC unroll 4
      for (int i = 0; i < Inner; ++i, ++x, w += kVectors * V::width) {
        F weight[kVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) weight[v] = V::load(w + v * V::width);
#pragma GCC unroll 2
        for (int v = 0; v < Blocks; ++v) __builtin_prefetch(w + kBlockedPrefetchFloats + v * kBlockChannels);
#pragma GCC unroll 32
        for (int p = 0; p < kPositions; ++p) {
          const F in = V::broadcast(x[(p % Columns) * Step + (p / Columns) * second]);
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) sum[p][v] = V::fma(weight[v], in, sum[p][v]);
        }
      }
    }
  }

  if (t.last) {
    const F low = V::broadcast(t.low), high = V::broadcast(t.high);
#pragma GCC unroll 32
    for (int p = 0; p < kPositions; ++p) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[p][v] = V::min(high, V::max(low, sum[p][v]));
    }
  }
#pragma GCC unroll 32
  for (int p = 0; p < kPositions; ++p) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) V::store(t.y + at(p, v), sum[p][v]);
  }
}

/// blocked_tile by [blocks - 1][stride - 1][columns - 1], for one row, two rows and plain inputs.
template <class V>
struct BlockedTiles {
  using Kernel = void (*)(const BlockedTile&);
  static constexpr int kPositions = BlockedShape<V>::kPositions;
  Kernel one[2][2][kPositions];
  Kernel two[2][2][kPositions];  // as many columns as two rows of them allow
  Kernel plain[2][2][kPositions];

  template <int Blocks, int Columns>
  constexpr void fill_columns() {
    one[Blocks - 1][0][Columns - 1] = blocked_tile<V, Blocks, 1, Columns, kBlockChannels, kBlockChannels>;
    one[Blocks - 1][1][Columns - 1] = blocked_tile<V, Blocks, 1, Columns, kBlockChannels, 2 * kBlockChannels>;
    plain[Blocks - 1][0][Columns - 1] = blocked_tile<V, Blocks, 1, Columns, 1, 1>;
    plain[Blocks - 1][1][Columns - 1] = blocked_tile<V, Blocks, 1, Columns, 1, 2>;
    if constexpr (2 * Columns <= kPositions) {
      two[Blocks - 1][0][Columns - 1] = blocked_tile<V, Blocks, 2, Columns, kBlockChannels, kBlockChannels>;
      two[Blocks - 1][1][Columns - 1] = blocked_tile<V, Blocks, 2, Columns, kBlockChannels, 2 * kBlockChannels>;
    }
  }
  template <int Blocks, int... Columns>
  constexpr void fill(std::integer_sequence<int, Columns...>) {
    (fill_columns<Blocks, Columns + 1>(), ...);
  }
  constexpr BlockedTiles() : one{}, two{}, plain{} {
    fill<1>(std::make_integer_sequence<int, kPositions>());
    if constexpr (BlockedShape<V>::kBlocks == 2) fill<2>(std::make_integer_sequence<int, kPositions>());
  }
};

/// Copies the rectangle of one input block (or plane) at (row, column) of the image to the stage, 0 outside the image.
template <class V>
void blocked_stage(const Window& window, const float* x, int inner, int row, int column, int rows, int columns,
                   int pitch, float* stage) {
  const int left = column < 0 ? (-column < columns ? -column : columns) : 0;
  const int inside_end = window.width - column < columns ? window.width - column : columns;
  const int end = inside_end > left ? inside_end : left;
  for (int r = 0; r < rows; ++r, stage += pitch * inner) {
    const int from = row + r;
    const bool outside = from < 0 || from >= window.height;
    const int begin = outside ? columns : left;
    for (int i = 0; i < begin * inner; ++i) stage[i] = 0;
    if (outside) continue;
    const float* source = x + from * window.row_stride + static_cast<std::ptrdiff_t>(column) * inner;
    int i = left * inner;
    for (; i + V::width <= end * inner; i += V::width) V::store(stage + i, V::load(source + i));
    for (; i < end * inner; ++i) stage[i] = source[i];
    for (i = end * inner; i < columns * inner; ++i) stage[i] = 0;
  }
}

/// Loop order: groups of output blocks, chunks of input blocks, tiles of positions: the weights of a chunk stay in the
/// innermost cache while positions stream by. Rows of the window that lie in the padding are left out; a tile whose
/// window leaves the image sideways reads a staged copy.
template <class V>
class BlockedConvolution {
 public:
  explicit BlockedConvolution(const BlockedConvCall& call)
      : call_(call),
        window_(call.window),
        inner_(call.plain ? 1 : kBlockChannels),
        stage_columns_((kPositions - 1) * window_.stride_width + (window_.kernel_width - 1) * window_.dilation_width +
                       1) {
    int n = 0;
    for (int kh = 0; kh < window_.kernel_height; ++kh) {
      for (int kw = 0; kw < window_.kernel_width; ++kw, ++n) {
        const int row = kh * window_.dilation_height, column = kw * window_.dilation_width * inner_;
        direct_[n] = row * window_.row_stride + column;
        staged_[n] = static_cast<std::ptrdiff_t>(row) * stage_columns_ * inner_ + column;
      }
    }
    const Activation& activation = call.epilogue.activation;
    curved_ = activation.curve != Curve::clamp;
    tile_.low = curved_ ? -__builtin_inff() : activation.low;
    tile_.high = curved_ ? __builtin_inff() : activation.high;
    tile_.place = call.place;
    tile_.bias = bias_;
  }

  void run() {
    const int taps = window_.taps();
    const int all_blocks = static_cast<int>(blocks_of(call_.out_channels));
    const int columns = call_.part.column_end - call_.part.column_begin;
    const bool pairs = !call_.plain && 2 * columns <= kPositions;
    const int column_tiles = (columns + kPositions - 1) / kPositions;
    const float* weights_end = call_.weights + static_cast<std::ptrdiff_t>(call_.part.block_end) * kBlockChannels *
                                                   inner_ * taps * call_.in_blocks;
    for (int block = call_.part.block_begin; block < call_.part.block_end; block += kBlocks) {
      const int blocks = all_blocks - block < kBlocks ? all_blocks - block : kBlocks;
      const int tap_floats = inner_ * blocks * kBlockChannels;
      fill_bias(block, blocks);
      tile_.w_block = static_cast<std::ptrdiff_t>(taps) * tap_floats;
      const float* weights =
          call_.weights + static_cast<std::ptrdiff_t>(block) * kBlockChannels * inner_ * taps * call_.in_blocks;
      int most = static_cast<int>(kBlockedChunkFloats / tile_.w_block);
      const int stageable = static_cast<int>(kBlockedStageFloats) / stage_block(pairs ? 2 : 1);
      most = most < stageable ? most : stageable;
      if (most < 1) most = 1;
      const int chunks = (call_.in_blocks + most - 1) / most;
      int in_block = 0;
      for (int chunk = 0; chunk < chunks; ++chunk) {
        tile_.first = chunk == 0;
        tile_.last = chunk + 1 == chunks;
        tile_.blocks = call_.in_blocks / chunks + (chunk < call_.in_blocks % chunks ? 1 : 0);
        const float* w = weights + in_block * tile_.w_block;
        const float* x = call_.x + in_block * window_.channel_stride;
        plan_prefetch(w, weights_end, column_tiles, pairs);
        for (int row = call_.part.row_begin; row < call_.part.row_end;) {
          const int rows = pairs && row + 1 < call_.part.row_end ? 2 : 1;
          int column = call_.part.column_begin;
          for (int i = 0; i < column_tiles; ++i) {
            const int count = columns / column_tiles + (i < columns % column_tiles ? 1 : 0);
            run_tile(x, w, tap_floats, block, blocks, row, rows, column, count);
            column += count;
          }
          row += rows;
        }
        in_block += tile_.blocks;
      }
    }
  }

 private:
  static constexpr int kBlocks = BlockedShape<V>::kBlocks;
  static constexpr int kPositions = BlockedShape<V>::kPositions;

  int stage_rows(int rows) const {
    return (rows - 1) * window_.stride_height + (window_.kernel_height - 1) * window_.dilation_height + 1;
  }
  int stage_block(int rows) const { return stage_rows(rows) * stage_columns_ * inner_; }

  /// The tiles of a chunk share the lines of the next one between them: a chunk that comes from memory would otherwise
  /// stall its first tile, which for small images is a good part of all tiles.
  void plan_prefetch(const float* w, const float* weights_end, int column_tiles, bool pairs) {
    const std::ptrdiff_t chunk = tile_.blocks * tile_.w_block;
    const float* next = w + chunk;
    const std::ptrdiff_t left = weights_end - next;
    const int rows = call_.part.row_end - call_.part.row_begin;
    const int tiles = column_tiles * (pairs ? (rows + 1) / 2 : rows);
    const std::ptrdiff_t lines = (left < chunk ? left : chunk) / kBlockChannels;
    const int steps = tile_.blocks * window_.taps() * tiles;
    tile_.ahead = next;
    tile_.ahead_lines = static_cast<int>((lines + steps - 1) / steps);
    ahead_end_ = next + lines * kBlockChannels;
  }

  void fill_bias(int block, int blocks) {
    for (int i = 0; i < blocks * kBlockChannels; ++i) {
      const int channel = block * kBlockChannels + i;
      bias_[i] = call_.epilogue.bias != nullptr && channel < call_.out_channels ? call_.epilogue.bias[channel] : 0.0f;
    }
  }

  void run_tile(const float* x, const float* w, int tap_floats, int block, int blocks, int row, int rows, int column,
                int count) {
    static constexpr BlockedTiles<V> kTiles{};
    const int in_row = row * window_.stride_height - window_.pad_top;
    const int in_column = column * window_.stride_width - window_.pad_left;
    const int in_end =
        in_column + (count - 1) * window_.stride_width + (window_.kernel_width - 1) * window_.dilation_width;
    const int in_bottom = in_row + stage_rows(rows) - 1;
    // taps of rows outside the image add nothing; two rows of positions share their taps and stage the zeros instead
    int first_kh = 0, last_kh = window_.kernel_height;
    bool stage = in_column < 0 || in_end >= window_.width;
    if (rows == 1) {
      while (first_kh < last_kh && in_row + first_kh * window_.dilation_height < 0) ++first_kh;
      while (last_kh > first_kh && in_row + (last_kh - 1) * window_.dilation_height >= window_.height) --last_kh;
    } else {
      stage = stage || in_row < 0 || in_bottom >= window_.height;
    }
    const int first_tap = first_kh * window_.kernel_width;
    tile_.tap_count = (last_kh - first_kh) * window_.kernel_width;
    tile_.w = w + static_cast<std::ptrdiff_t>(first_tap) * tap_floats;
    const int skipped = first_kh * window_.dilation_height;
    if (stage) {
      const int copied = last_kh == first_kh ? 0
                         : rows == 2         ? stage_rows(2)
                                             : (last_kh - 1 - first_kh) * window_.dilation_height + 1;
      tile_.x_block = stage_block(rows);
      for (int b = 0; b < tile_.blocks && copied > 0; ++b) {
        blocked_stage<V>(window_, x + b * window_.channel_stride, inner_, in_row + skipped, in_column, copied,
                         in_end - in_column + 1, stage_columns_,
                         stage_ + b * tile_.x_block + skipped * stage_columns_ * inner_);
      }
      tile_.x = stage_;
      tile_.taps = staged_ + first_tap;
      tile_.x_second = static_cast<std::ptrdiff_t>(window_.stride_height) * stage_columns_ * inner_;
    } else {
      tile_.x = x + in_row * window_.row_stride + static_cast<std::ptrdiff_t>(in_column) * inner_;
      tile_.x_block = window_.channel_stride;
      tile_.taps = direct_ + first_tap;
      tile_.x_second = window_.stride_height * window_.row_stride;
    }
    const std::ptrdiff_t at = block * call_.place.block + row * call_.place.row + column * call_.place.column;
    tile_.y = call_.y + at;
    tile_.residual = call_.epilogue.residual != nullptr ? call_.epilogue.residual + at : nullptr;
    const auto& kernels = call_.plain ? kTiles.plain : rows == 2 ? kTiles.two : kTiles.one;
    kernels[blocks - 1][window_.stride_width - 1][count - 1](tile_);
    tile_.ahead += static_cast<std::ptrdiff_t>(tile_.blocks) * tile_.tap_count * tile_.ahead_lines * kBlockChannels;
    if (tile_.ahead >= ahead_end_) tile_.ahead_lines = 0;
    if (curved_ && tile_.last) curve(blocks, rows, count);
  }

  void curve(int blocks, int rows, int count) const {
    for (int b = 0; b < blocks; ++b) {
      for (int r = 0; r < rows; ++r) {
        activate<V>(call_.epilogue.activation, tile_.y + b * call_.place.block + r * call_.place.row,
                    static_cast<std::size_t>(call_.place.column), count, kBlockChannels);
      }
    }
  }

  const BlockedConvCall& call_;
  const Window& window_;
  const int inner_;
  const int stage_columns_;
  bool curved_;
  BlockedTile tile_;
  const float* ahead_end_ = nullptr;
  std::ptrdiff_t direct_[kBlockedTaps];
  std::ptrdiff_t staged_[kBlockedTaps];
  alignas(64) float bias_[2 * kBlockChannels];
  alignas(64) float stage_[kBlockedStageFloats];
};

template <class V>
void blocked_convolution(const BlockedConvCall& call) {
  BlockedConvolution<V>(call).run();
}

}  // namespace sparse_run::cpu
