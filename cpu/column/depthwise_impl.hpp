// Depthwise convolution over image rows, several output rows at a time: templates over a vector type.
#pragma once

#include "cpu/column/activation_impl.hpp"
#include "cpu/column/depthwise.hpp"
#include "cpu/column/vec.hpp"

namespace sparse_run::cpu {

/// One channel of one image. Kernel > 0: a square kernel of that size without dilation, whose input rows are loaded
/// once for all output rows of a block; Kernel == 0: any kernel. Stride 1 or 2 along the width; 0: any.
template <class V, int Kernel, int Stride>
struct DepthwisePlane {
  using F = typename V::F;
  using Mask = typename V::Mask;
  static constexpr int kRows = Kernel > 0 ? 4 : 1;
  static constexpr int kWeights = Kernel > 0 ? Kernel* Kernel : 1;

  const Window& window;
  const float* x;  // (row window.first_row, column 0)
  const float* w;
  float bias;
  const DepthwiseResult& result;
  float* y;
  const float* residual;
  float low, high;

  /// Lanes of an output vector at column `ow` whose tap kw lies in the image.
  struct Tap {
    std::ptrdiff_t offset;
    Mask mask;
    bool whole, empty;
  };

  Tap tap(int ow, int count, int kw) const {
    const int step = Stride > 0 ? Stride : window.stride_width;
    const int column = ow * step - window.pad_left + kw * window.dilation_width;
    int begin = 0, end = count;
    if (column < 0) begin = (step - 1 - column) / step;
    if (column + (count - 1) * step >= window.width) {
      end = column < window.width ? (window.width - 1 - column) / step + 1 : 0;
    }
    if (begin >= end) return {column, V::lanes(0), false, true};
    return {column, V::lanes(begin, end), begin == 0 && end == V::width, false};
  }

  [[gnu::always_inline]] F load(const float* row, const Tap& t) const {
    if constexpr (Stride == 1) {
      return t.whole ? V::load(row + t.offset) : V::load(row + t.offset, t.mask);
    } else if constexpr (Stride == 2) {
      return t.whole ? V::load_stride2(row + t.offset) : V::merge_stride2(V::zero(), row + t.offset, t.mask);
    } else {
      alignas(64) float lanes[V::width];
      V::store(lanes, V::zero());
      V::store(lanes, V::broadcast(1.0f), t.mask);
      for (int l = 0; l < V::width; ++l) {
        if (lanes[l] != 0) lanes[l] = row[t.offset + std::ptrdiff_t{l} * window.stride_width];
      }
      return V::load(lanes);
    }
  }

  const float* input_row(int row) const { return x + (row - window.first_row) * window.row_stride; }

  template <int Rows>
  [[gnu::always_inline]] void block(int oh, int ow, int count, const F* weights, const Tap* taps) const {
    F sum[Rows];
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) sum[r] = V::broadcast(bias);
    const int top = oh * window.stride_height - window.pad_top;
    if constexpr (Kernel > 0) {
      constexpr int kInputs = (Rows - 1) * Stride + Kernel;
#pragma GCC unroll 16
      for (int i = 0; i < kInputs; ++i) {
        if (top + i < 0 || top + i >= window.height) continue;
        const float* row = input_row(top + i);
#pragma GCC unroll 8
        for (int kw = 0; kw < Kernel; ++kw) {
          if (taps[kw].empty) continue;
          const F in = load(row, taps[kw]);
#pragma GCC unroll 8
          for (int r = 0; r < Rows; ++r) {
            const int kh = i - r * Stride;
            if (kh >= 0 && kh < Kernel) sum[r] = V::fma(weights[kh * Kernel + kw], in, sum[r]);
          }
        }
      }
    } else {
      for (int kh = 0; kh < window.kernel_height; ++kh) {
        const int in_row = top + kh * window.dilation_height;
        if (in_row < 0 || in_row >= window.height) continue;
        for (int kw = 0; kw < window.kernel_width; ++kw) {
          const Tap t = tap(ow, count, kw);
          if (t.empty) continue;
          sum[0] = V::fma(V::broadcast(w[kh * window.kernel_width + kw]), load(input_row(in_row), t), sum[0]);
        }
      }
    }
    const F lowest = V::broadcast(low), highest = V::broadcast(high);
    const Mask mask = V::lanes(count);
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      const std::ptrdiff_t at = std::ptrdiff_t{oh + r} * window.out_width + ow;
      if (residual != nullptr) {
        sum[r] = V::add(sum[r], count == V::width ? V::load(residual + at) : V::load(residual + at, mask));
      }
      sum[r] = V::min(highest, V::max(lowest, sum[r]));
      if (count == V::width) {
        V::store(y + at, sum[r]);
      } else {
        V::store(y + at, sum[r], mask);
      }
    }
  }

  /// Strips of a few vectors, so that how their taps lie is worked out once for all rows.
  void run(int row_begin, int row_end) const {
    constexpr int kStrip = 8;
    F weights[kWeights];
    for (int i = 0; i < kWeights; ++i) weights[i] = V::broadcast(w[i]);
    for (int left = 0; left < window.out_width; left += kStrip * V::width) {
      const int width = window.out_width - left < kStrip * V::width ? window.out_width - left : kStrip * V::width;
      Tap taps[kStrip][Kernel > 0 ? Kernel : 1];
      for (int v = 0; v * V::width < width && Kernel > 0; ++v) {
        for (int kw = 0; kw < Kernel; ++kw) taps[v][kw] = tap(left + v * V::width, count(left + v * V::width), kw);
      }
      int oh = row_begin;
      for (; oh + kRows <= row_end; oh += kRows) {
        for (int v = 0; v * V::width < width; ++v) {
          block<kRows>(oh, left + v * V::width, count(left + v * V::width), weights, taps[v]);
        }
      }
      for (; oh < row_end; ++oh) {
        for (int v = 0; v * V::width < width; ++v) {
          block<1>(oh, left + v * V::width, count(left + v * V::width), weights, taps[v]);
        }
      }
    }
  }
  int count(int ow) const { return window.out_width - ow < V::width ? window.out_width - ow : V::width; }
};

template <class V, int Kernel, int Stride>
void depthwise_planes(const DepthwiseCall& call) {
  const Window& window = call.window;
  const Activation& activation = call.epilogue.activation;
  const bool curved = activation.curve != Curve::clamp;
  const float low = curved ? -__builtin_inff() : activation.low, high = curved ? __builtin_inff() : activation.high;
  const int taps = window.taps();
  for (std::size_t channel = call.channel_begin; channel < call.channel_end; ++channel) {
    for (int image = 0; image < window.images; ++image) {
      const std::ptrdiff_t in =
          static_cast<std::ptrdiff_t>(channel) * window.channel_stride + image * window.image_stride;
      const std::ptrdiff_t out =
          static_cast<std::ptrdiff_t>(channel) * call.result.channel_stride + image * call.result.image_stride;
      const float* residual = call.epilogue.residual != nullptr ? call.epilogue.residual + out : nullptr;
      const float bias = call.epilogue.bias != nullptr ? call.epilogue.bias[channel] : 0.0f;
      const DepthwisePlane<V, Kernel, Stride> plane{
          window,   call.x + in, call.weights + channel * static_cast<std::size_t>(taps),
          bias,     call.result, call.result.y + out,
          residual, low,         high};
      plane.run(call.row_begin, call.row_end);
      if (curved) {
        activate<V>(activation, call.result.y + out + std::ptrdiff_t{call.row_begin} * window.out_width, 0, 1,
                    (call.row_end - call.row_begin) * window.out_width);
      }
    }
  }
}

template <class V>
void depthwise(const DepthwiseCall& call) {
  const Window& w = call.window;
  const bool square = w.kernel_height == w.kernel_width && w.dilation_height == 1 && w.dilation_width == 1 &&
                      w.stride_height == w.stride_width;
  if (square && w.kernel_width == 3 && w.stride_width == 1) return depthwise_planes<V, 3, 1>(call);
  if (square && w.kernel_width == 3 && w.stride_width == 2) return depthwise_planes<V, 3, 2>(call);
  if (square && w.kernel_width == 5 && w.stride_width == 1) return depthwise_planes<V, 5, 1>(call);
  if (square && w.kernel_width == 5 && w.stride_width == 2) return depthwise_planes<V, 5, 2>(call);
  if (w.stride_width == 1) return depthwise_planes<V, 0, 1>(call);
  if (w.stride_width == 2) return depthwise_planes<V, 0, 2>(call);
  return depthwise_planes<V, 0, 0>(call);
}

}  // namespace sparse_run::cpu
