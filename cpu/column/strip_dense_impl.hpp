// Dense weights and depthwise weights times a strip, read in place: templates over a vector type.
#pragma once

#include <utility>

#include "cpu/column/activation_impl.hpp"
#include "cpu/column/strip.hpp"

namespace sparse_run::cpu {

/// Rows output channels of one weight block at Vectors positions.
template <class V, int Rows, int Vectors>
[[gnu::noinline]] void strip_dense_tile(const StripDenseCall& call, const float* w, std::size_t channel, int position) {
  using F = typename V::F;
  float* const y = call.y + static_cast<std::ptrdiff_t>(channel) * call.y_channel + position * V::width;
  F sum[Rows][Vectors];
  if (call.first) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const F start = call.bias != nullptr ? V::broadcast(call.bias[channel + static_cast<std::size_t>(r)]) : V::zero();
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] = start;
    }
    if (call.residual != nullptr) {
      const float* residual =
          call.residual + static_cast<std::ptrdiff_t>(channel) * call.residual_channel + position * V::width;
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) {
          sum[r][v] = V::add(sum[r][v], V::load(residual + r * call.residual_channel + v * V::width));
        }
      }
    }
  } else {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] = V::load(y + r * call.y_channel + v * V::width);
    }
  }
  const float* const x = call.x + position * call.x_vector;
  const std::ptrdiff_t x_vector = call.x_vector;
  const std::uint32_t* at = call.at;
  for (const std::uint32_t* const end = at + call.k; at != end; ++at, w += kStripDenseRows) {
    const float* from = x + *at;
    F in[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) in[v] = V::load(from + v * x_vector);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const F weight = V::broadcast(w[r]);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] = V::fma(weight, in[v], sum[r][v]);
    }
  }
  const bool curved = call.activation.curve != Curve::clamp;
  if (call.last && !curved) {
    const F low = V::broadcast(call.activation.low), high = V::broadcast(call.activation.high);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] = V::min(high, V::max(low, sum[r][v]));
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) V::store(y + r * call.y_channel + v * V::width, sum[r][v]);
  }
  if (call.last && curved) {
    activate<V>(call.activation, y, static_cast<std::size_t>(call.y_channel), Rows, Vectors * V::width);
  }
}

/// strip_dense_tile by [rows - 1][vectors - 1], within what the registers hold.
template <class V>
struct StripDenseTiles {
  static constexpr int kVectors = V::kRegisters >= 32 ? 3 : 1;
  using Kernel = void (*)(const StripDenseCall&, const float*, std::size_t, int);
  Kernel kernel[kStripDenseRows][kVectors];

  template <int Rows, int... Vectors>
  constexpr void fill_row(std::integer_sequence<int, Vectors...>) {
    ((kernel[Rows][Vectors] = strip_dense_tile<V, Rows + 1, Vectors + 1>), ...);
  }
  template <int... Rows>
  constexpr explicit StripDenseTiles(std::integer_sequence<int, Rows...>) : kernel{} {
    (fill_row<Rows>(std::make_integer_sequence<int, kVectors>()), ...);
  }
};

template <class V>
void strip_dense(const StripDenseCall& call) {
  using Tiles = StripDenseTiles<V>;
  static constexpr Tiles tiles{std::make_integer_sequence<int, kStripDenseRows>()};
  const int parts = (call.vectors + Tiles::kVectors - 1) / Tiles::kVectors;
  const float* weights = call.weights;
  for (std::size_t channel = 0; channel < call.channels; channel += kStripDenseRows) {
    const std::size_t left = call.channels - channel;
    const std::size_t rows = left < kStripDenseRows ? left : kStripDenseRows;
    int position = 0;
    for (int part = 0; part < parts; ++part) {
      const int vectors = call.vectors / parts + (part < call.vectors % parts ? 1 : 0);
      tiles.kernel[rows - 1][vectors - 1](call, weights, channel, position);
      position += vectors;
    }
    weights += call.k * kStripDenseRows;
  }
}

/// One channel at `Vectors` positions.
template <class V, int Vectors>
[[gnu::always_inline]] inline void strip_depthwise_tile(const StripDepthwiseCall& call, const float* w, float bias,
                                                        std::ptrdiff_t channel, int position) {
  using F = typename V::F;
  F sum[Vectors];
  const F start = V::broadcast(bias);
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v) sum[v] = start;
  for (int kh = 0; kh < call.kernel_height; ++kh) {
    const float* x = call.x[kh] + channel * call.x_channel + position * call.x_vector;
    for (int kw = 0; kw < call.kernel_width; ++kw, ++w, x += call.x_tap) {
      const F weight = V::broadcast(*w);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[v] = V::fma(weight, V::load(x + v * call.x_vector), sum[v]);
    }
  }
  if (call.residual != nullptr) {
    const float* residual = call.residual + channel * call.residual_channel + position * V::width;
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sum[v] = V::add(sum[v], V::load(residual + v * V::width));
  }
  float* y = call.y + channel * call.y_channel + position * V::width;
  if (call.activation.curve != Curve::clamp) {
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) V::store(y + v * V::width, curve_value<V>(call.activation, sum[v]));
    return;
  }
  const F low = V::broadcast(call.activation.low), high = V::broadcast(call.activation.high);
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v) V::store(y + v * V::width, V::min(high, V::max(low, sum[v])));
}

/// One channel at `Vectors` positions of a 3 × 3 kernel: each input vector is loaded once.
template <class V, int Vectors, int Stride>
[[gnu::always_inline]] inline void strip_depthwise_3x3(const StripDepthwiseCall& call, const float* w, float bias,
                                                       std::ptrdiff_t channel, int position) {
  using F = typename V::F;
  F sum[Vectors];
  const F start = V::broadcast(bias);
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v) sum[v] = start;
#pragma GCC unroll 3
  for (int kh = 0; kh < 3; ++kh) {
    const float* x = call.x[kh] + channel * call.x_channel + std::ptrdiff_t{position} * Stride * V::width;
    const F weight[3] = {V::broadcast(w[3 * kh]), V::broadcast(w[3 * kh + 1]), V::broadcast(w[3 * kh + 2])};
#pragma GCC unroll 16
    for (int i = 0; i < (Vectors - 1) * Stride + 3; ++i) {
      const F in = V::load(x + i * V::width);
#pragma GCC unroll 3
      for (int kw = 0; kw < 3; ++kw) {
        const int v = i - kw;
        if (v >= 0 && v % Stride == 0 && v / Stride < Vectors) {
          sum[v / Stride] = V::fma(weight[kw], in, sum[v / Stride]);
        }
      }
    }
  }
  if (call.residual != nullptr) {
    const float* residual = call.residual + channel * call.residual_channel + position * V::width;
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sum[v] = V::add(sum[v], V::load(residual + v * V::width));
  }
  const F low = V::broadcast(call.activation.low), high = V::broadcast(call.activation.high);
  float* y = call.y + channel * call.y_channel + position * V::width;
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v) V::store(y + v * V::width, V::min(high, V::max(low, sum[v])));
}

template <class V>
void strip_depthwise(const StripDepthwiseCall& call) {
  constexpr int kWide = V::kRegisters >= 32 ? 7 : 4;
  const int taps = call.kernel_height * call.kernel_width;
  const bool plain = call.kernel_height == 3 && call.kernel_width == 3 && call.x_tap == V::width &&
                     call.activation.curve == Curve::clamp;
  const int stride = call.x_vector == V::width ? 1 : call.x_vector == 2 * V::width ? 2 : 0;
  for (int channel = 0; channel < call.channels; ++channel) {
    const float* w = call.weights + std::ptrdiff_t{channel} * taps;
    const float bias = call.bias != nullptr ? call.bias[channel] : 0.0f;
    int position = 0;
    if (plain && stride == 1) {
      for (; position + kWide <= call.width; position += kWide) {
        strip_depthwise_3x3<V, kWide, 1>(call, w, bias, channel, position);
      }
    } else if (plain && stride == 2) {
      for (; position + kWide <= call.width; position += kWide) {
        strip_depthwise_3x3<V, kWide, 2>(call, w, bias, channel, position);
      }
    }
    for (; position + 4 <= call.width; position += 4) strip_depthwise_tile<V, 4>(call, w, bias, channel, position);
    for (; position < call.width; ++position) strip_depthwise_tile<V, 1>(call, w, bias, channel, position);
  }
}

}  // namespace sparse_run::cpu
