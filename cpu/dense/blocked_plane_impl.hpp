// What blocked images need channel by channel: depthwise convolution, pooling, sums, and the way from and to plain
// planes. Templates over a vector type.
#pragma once

#include "cpu/column/activation_impl.hpp"
#include "cpu/column/vec.hpp"
#include "cpu/dense/blocked.hpp"

namespace sparse_run::cpu {

/// The taps along one axis that lie in the image for one output position: [first, last), the first at `at`.
struct TapRange {
  int first, last, at;

  TapRange(int output, int stride, int pad, int dilation, int kernel, int size) : first(0), last(kernel) {
    const int start = output * stride - pad;
    while (first < last && start + first * dilation < 0) ++first;
    while (last > first && start + (last - 1) * dilation >= size) --last;
    at = start + first * dilation;
  }
};

/// Output columns [begin, end) whose taps all lie in the image.
struct InnerColumns {
  int begin, end;

  explicit InnerColumns(const Window& w) {
    const int extent = (w.kernel_width - 1) * w.dilation_width;
    begin = w.pad_left > 0 ? (w.pad_left + w.stride_width - 1) / w.stride_width : 0;
    const int last = w.width - 1 - extent + w.pad_left;  // largest start, in padded coordinates
    end = last < 0 ? 0 : last / w.stride_width + 1;
    begin = begin < w.out_width ? begin : w.out_width;
    end = end < w.out_width ? end : w.out_width;
    end = end > begin ? end : begin;
  }
};

/// What is done with each tap, and how results begin and end.
template <class V>
struct DepthwiseRule {
  using F = typename V::F;
  const float* weights;  // [tap][16] of the block, at this vector
  F bias, low, high;
  const float* residual;  // at the vector of (row 0, column 0), or null

  F start(std::ptrdiff_t at) const { return residual != nullptr ? V::add(bias, V::load(residual + at)) : bias; }
  F tap_operand(int tap) const { return V::load(weights + tap * kBlockChannels); }
  static F accumulate(F sum, F x, F weight) { return V::fma(x, weight, sum); }
  F finish(F sum, int) const { return V::min(high, V::max(low, sum)); }
};

template <class V>
struct MaximumRule {
  using F = typename V::F;
  F start(std::ptrdiff_t) const { return V::broadcast(-__builtin_inff()); }
  F tap_operand(int) const { return V::zero(); }
  static F accumulate(F most, F x, F) { return V::max_or_nan(most, x); }
  F finish(F most, int) const { return most; }
};

template <class V>
struct AverageRule {
  using F = typename V::F;
  int all_taps;  // 0: only the taps in the image count
  F start(std::ptrdiff_t) const { return V::zero(); }
  F tap_operand(int) const { return V::zero(); }
  static F accumulate(F sum, F x, F) { return V::add(sum, x); }
  F finish(F sum, int taps) const {
    return V::div(sum, V::broadcast(static_cast<float>(all_taps != 0 ? all_taps : taps)));
  }
};

/// `Columns` neighbouring output columns with all horizontal taps in the image.
template <class V, int Columns, class Rule>
[[gnu::always_inline]] inline void window_columns(const Window& window, const Rule& rule, const float* x,
                                                  const TapRange& rows, int column, float* y, std::ptrdiff_t at,
                                                  std::ptrdiff_t y_column) {
  typename V::F result[Columns];
#pragma GCC unroll 8
  for (int i = 0; i < Columns; ++i) result[i] = rule.start(at + i * y_column);
  const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(window.stride_width) * kBlockChannels;
  const std::ptrdiff_t left =
      static_cast<std::ptrdiff_t>(column * window.stride_width - window.pad_left) * kBlockChannels;
  for (int kh = rows.first; kh < rows.last; ++kh) {
    const float* in = x + (rows.at + (kh - rows.first) * window.dilation_height) * window.row_stride + left;
    for (int kw = 0; kw < window.kernel_width; ++kw, in += window.dilation_width * kBlockChannels) {
      const auto operand = rule.tap_operand(kh * window.kernel_width + kw);
#pragma GCC unroll 8
      for (int i = 0; i < Columns; ++i) result[i] = Rule::accumulate(result[i], V::load(in + i * step), operand);
    }
  }
  const int taps = (rows.last - rows.first) * window.kernel_width;
#pragma GCC unroll 8
  for (int i = 0; i < Columns; ++i) V::store(y + at + i * y_column, rule.finish(result[i], taps));
}

/// One vector of channels of one block over a range of output rows.
template <class V, class Rule>
[[gnu::noinline]] void window_plane(const Window& window, const Rule& rule, const float* x, float* y,
                                    const BlockedPlace& place, int row_begin, int row_end) {
  constexpr int kColumns = V::kRegisters == 32 ? 8 : 4;
  const InnerColumns inner(window);
  for (int row = row_begin; row < row_end; ++row) {
    const TapRange rows(row, window.stride_height, window.pad_top, window.dilation_height, window.kernel_height,
                        window.height);
    const std::ptrdiff_t row_at = row * place.row;
    const auto edge = [&](int column) {
      const TapRange columns(column, window.stride_width, window.pad_left, window.dilation_width, window.kernel_width,
                             window.width);
      const std::ptrdiff_t at = row_at + column * place.column;
      auto result = rule.start(at);
      for (int kh = rows.first; kh < rows.last; ++kh) {
        const float* in = x + (rows.at + (kh - rows.first) * window.dilation_height) * window.row_stride;
        for (int kw = columns.first; kw < columns.last; ++kw) {
          const std::ptrdiff_t place_in = columns.at + (kw - columns.first) * window.dilation_width;
          result = Rule::accumulate(result, V::load(in + place_in * kBlockChannels),
                                    rule.tap_operand(kh * window.kernel_width + kw));
        }
      }
      V::store(y + at, rule.finish(result, (rows.last - rows.first) * (columns.last - columns.first)));
    };
    for (int column = 0; column < inner.begin; ++column) edge(column);
    int column = inner.begin;
    for (; column + kColumns <= inner.end; column += kColumns) {
      window_columns<V, kColumns>(window, rule, x, rows, column, y, row_at + column * place.column, place.column);
    }
    for (; column < inner.end; ++column) {
      window_columns<V, 1>(window, rule, x, rows, column, y, row_at + column * place.column, place.column);
    }
    for (column = inner.end; column < window.out_width; ++column) edge(column);
  }
}

template <class V>
void blocked_depthwise(const BlockedDepthwiseCall& call) {
  const Activation& activation = call.epilogue.activation;
  const bool curved = activation.curve != Curve::clamp;
  const BlockedPart& part = call.part;
  for (int block = part.block_begin; block < part.block_end; ++block) {
    for (int v = 0; v < kBlockChannels; v += V::width) {
      const int channel = block * kBlockChannels + v;
      const std::ptrdiff_t at = block * call.place.block + v;
      int valid = call.channels - channel;
      valid = valid < 0 ? 0 : valid < V::width ? valid : V::width;
      const float* bias = call.epilogue.bias;
      const DepthwiseRule<V> rule{
          call.weights + static_cast<std::ptrdiff_t>(block) * call.window.taps() * kBlockChannels + v,
          bias != nullptr && valid > 0 ? V::load(bias + channel, V::lanes(valid)) : V::zero(),
          V::broadcast(curved ? -__builtin_inff() : activation.low),
          V::broadcast(curved ? __builtin_inff() : activation.high),
          call.epilogue.residual != nullptr ? call.epilogue.residual + at : nullptr};
      window_plane<V>(call.window, rule, call.x + block * call.window.channel_stride + v, call.y + at, call.place,
                      part.row_begin, part.row_end);
    }
    for (int row = part.row_begin; curved && row < part.row_end; ++row) {
      activate<V>(activation, call.y + block * call.place.block + row * call.place.row,
                  static_cast<std::size_t>(call.place.column), call.window.out_width, kBlockChannels);
    }
  }
}

template <class V>
void blocked_pool(const BlockedPoolCall& call) {
  const BlockedPart& part = call.part;
  for (int block = part.block_begin; block < part.block_end; ++block) {
    for (int v = 0; v < kBlockChannels; v += V::width) {
      const float* x = call.x + block * call.window.channel_stride + v;
      float* y = call.y + block * call.place.block + v;
      if (call.average) {
        const AverageRule<V> rule{call.count_padding ? call.window.taps() : 0};
        window_plane<V>(call.window, rule, x, y, call.place, part.row_begin, part.row_end);
      } else {
        window_plane<V>(call.window, MaximumRule<V>{}, x, y, call.place, part.row_begin, part.row_end);
      }
    }
  }
}

template <class V>
void blocked_sum(const float* x, std::size_t positions, float* sums) {
  for (int v = 0; v < kBlockChannels; v += V::width) {
    auto a = V::zero(), b = V::zero();
    std::size_t p = 0;
    for (; p + 2 <= positions; p += 2) {
      a = V::add(a, V::load(x + p * kBlockChannels + static_cast<std::size_t>(v)));
      b = V::add(b, V::load(x + (p + 1) * kBlockChannels + static_cast<std::size_t>(v)));
    }
    if (p < positions) a = V::add(a, V::load(x + p * kBlockChannels + static_cast<std::size_t>(v)));
    V::store(sums + v, V::add(a, b));
  }
}

template <class V>
void to_block(const float* x, std::size_t stride, int channels, std::size_t positions, float* y) {
  std::size_t p = 0;
  for (; p + V::width <= positions; p += V::width) {
    for (int first = 0; first < kBlockChannels; first += V::width) {
      typename V::F rows[V::width];
      for (int c = 0; c < V::width; ++c) {
        rows[c] = first + c < channels ? V::load(x + static_cast<std::size_t>(first + c) * stride + p) : V::zero();
      }
      V::transpose(rows);
      for (int i = 0; i < V::width; ++i)
        V::store(y + (p + static_cast<std::size_t>(i)) * kBlockChannels + first, rows[i]);
    }
  }
  for (; p < positions; ++p) {
    for (int c = 0; c < kBlockChannels; ++c) {
      y[p * kBlockChannels + static_cast<std::size_t>(c)] =
          c < channels ? x[static_cast<std::size_t>(c) * stride + p] : 0.0f;
    }
  }
}

template <class V>
void from_block(const float* x, int channels, std::size_t positions, float* y, std::size_t stride) {
  std::size_t p = 0;
  for (; p + V::width <= positions; p += V::width) {
    for (int first = 0; first < channels; first += V::width) {
      typename V::F rows[V::width];
      for (int i = 0; i < V::width; ++i)
        rows[i] = V::load(x + (p + static_cast<std::size_t>(i)) * kBlockChannels + first);
      V::transpose(rows);
      for (int c = 0; c < V::width && first + c < channels; ++c) {
        V::store(y + static_cast<std::size_t>(first + c) * stride + p, rows[c]);
      }
    }
  }
  for (; p < positions; ++p) {
    for (int c = 0; c < channels; ++c) {
      y[static_cast<std::size_t>(c) * stride + p] = x[p * kBlockChannels + static_cast<std::size_t>(c)];
    }
  }
}

}  // namespace sparse_run::cpu
