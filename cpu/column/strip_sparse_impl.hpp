// Sparse weights times a strip, read in place, two output channels at a time: templates over a vector type.
#pragma once

#include <utility>

#include "cpu/column/activation_impl.hpp"
#include "cpu/column/strip.hpp"

namespace sparse_run::cpu {

/// Output channels whose results are fetched ahead, in pairs.
inline constexpr std::size_t kStripLookahead = 2;

/// Walks through what the next call reads, some of it with each pair: the hardware does not foresee channels, which lie
/// too far apart.
class StripFetch {
 public:
  StripFetch(const StripAhead& ahead, std::uint32_t pairs)
      : ahead_(ahead), at_(ahead.at), row_(ahead.at), left_(ahead.channels), rows_(ahead.rows) {
    share_ = pairs == 0 ? 0 : (ahead.rows * ahead.channels + pairs - 1) / pairs;
  }

  [[gnu::always_inline]] void some() {
    for (std::uint32_t i = share_; i > 0 && rows_ > 0; --i) {
      for (std::uint32_t byte = 0; byte < ahead_.bytes; byte += 64) __builtin_prefetch(at_ + byte, 0, 2);
      at_ += ahead_.channel_stride;
      if (--left_ > 0) continue;
      left_ = ahead_.channels;
      row_ += ahead_.row_stride;
      at_ = row_;
      --rows_;
    }
  }

 private:
  const StripAhead& ahead_;
  const char* at_;
  const char* row_;
  std::uint32_t left_, rows_, share_;
};

/// `Vectors` positions of two output channels; XVectors: positions of x from one vector to the next, 0: any.
template <class V, int Vectors, int XVectors>
[[gnu::noinline]] void strip_sparse_tile(const StripSparseCall& call) {
  using F = typename V::F;
  constexpr int kVectorsOfLine = 64 / (V::width * 4);
  const StripStep* step = call.steps;
  const std::uint32_t* channels = call.channels;
  const float* const x = call.x;
  float* const y = call.y;
  const std::ptrdiff_t y_channel = call.y_channel;
  const std::ptrdiff_t x_vector = XVectors > 0 ? std::ptrdiff_t{XVectors} * V::width : call.x_vector;
  const StripRun* const runs_end = call.runs + call.run_count;
  const bool curved = call.activation.curve != Curve::clamp;
  const float* const residual_ahead = call.first ? call.residual : nullptr;
  StripFetch next(call.next, call.pairs);
  for (const StripRun* run = call.runs; run != runs_end; ++run) {
    for (std::uint32_t pair = run->pairs; pair > 0; --pair, channels += 2) {
      next.some();
#pragma GCC unroll 2
      for (std::size_t p = 0; p < 2; ++p) {
        const auto channel = static_cast<std::ptrdiff_t>(channels[2 * kStripLookahead + p]);
        const float* ahead = y + channel * y_channel;
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; v += kVectorsOfLine) __builtin_prefetch(ahead + v * V::width, 1);
        if (residual_ahead == nullptr) continue;
        ahead = residual_ahead + channel * call.residual_channel;
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; v += kVectorsOfLine) __builtin_prefetch(ahead + v * V::width);
      }
      F sum[2][Vectors];
#pragma GCC unroll 2
      for (int p = 0; p < 2; ++p) {
        if (call.first) {
          const F start = call.bias != nullptr ? V::broadcast(call.bias[channels[p]]) : V::zero();
#pragma GCC unroll 8
          for (int v = 0; v < Vectors; ++v) sum[p][v] = start;
          if (call.residual != nullptr) {
            const float* residual = call.residual + static_cast<std::ptrdiff_t>(channels[p]) * call.residual_channel;
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) sum[p][v] = V::add(sum[p][v], V::load(residual + v * V::width));
          }
        } else {
          const float* from = y + static_cast<std::ptrdiff_t>(channels[p]) * y_channel;
#pragma GCC unroll 8
          for (int v = 0; v < Vectors; ++v) sum[p][v] = V::load(from + v * V::width);
        }
      }
      for (const StripStep* const end = step + run->shared; step != end; ++step) {
        const F first = V::broadcast(step->weight[0]), second = V::broadcast(step->weight[1]);
        const float* in = x + step->at[0] * std::size_t{V::width};
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) {
          F both = V::load(in + v * x_vector);
          V::keep(both);  // else it is loaded once per channel
          sum[0][v] = V::fma(first, both, sum[0][v]);
          sum[1][v] = V::fma(second, both, sum[1][v]);
        }
      }
      for (const StripStep* const end = step + run->both; step != end; ++step) {
        std::uint32_t at;
        __builtin_memcpy(&at, step->at, sizeof at);  // one load for both places
#pragma GCC unroll 2
        for (int p = 0; p < 2; ++p, at >>= 16) {
          const F weight = V::broadcast(step->weight[p]);
          const float* in = x + (at & 0xffffu) * std::size_t{V::width};
#pragma GCC unroll 8
          for (int v = 0; v < Vectors; ++v) sum[p][v] = V::fma(weight, V::load(in + v * x_vector), sum[p][v]);
        }
      }
      for (const StripStep* const end = step + run->more; step != end; ++step) {
        const F weight = V::broadcast(step->weight[0]);
        const float* in = x + step->at[0] * std::size_t{V::width};
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) sum[0][v] = V::fma(weight, V::load(in + v * x_vector), sum[0][v]);
      }
      if (call.last) {
        if (curved) {
#pragma GCC unroll 2
          for (int p = 1; p >= 0; --p) {
            float* to = y + static_cast<std::ptrdiff_t>(channels[p]) * y_channel;
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) V::store(to + v * V::width, sum[p][v]);
          }
          activate<V>(call.activation, y + static_cast<std::ptrdiff_t>(channels[0]) * y_channel, 0, 1,
                      Vectors * V::width);
          if (channels[0] != channels[1]) {
            activate<V>(call.activation, y + static_cast<std::ptrdiff_t>(channels[1]) * y_channel, 0, 1,
                        Vectors * V::width);
          }
          continue;
        }
        const F low = V::broadcast(call.activation.low), high = V::broadcast(call.activation.high);
#pragma GCC unroll 2
        for (int p = 0; p < 2; ++p) {
#pragma GCC unroll 8
          for (int v = 0; v < Vectors; ++v) sum[p][v] = V::min(high, V::max(low, sum[p][v]));
        }
      }
#pragma GCC unroll 2
      for (int p = 1; p >= 0; --p) {  // the first last: of a channel paired with itself it has all steps
        float* to = y + static_cast<std::ptrdiff_t>(channels[p]) * y_channel;
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) V::store(to + v * V::width, sum[p][v]);
      }
    }
  }
}

/// strip_sparse_tile by [vectors - 1][positions of x between vectors: 1, 2 or any].
template <class V>
struct StripSparseTiles {
  using Kernel = void (*)(const StripSparseCall&);
  Kernel kernel[kStripVectors][3];

  template <int... Vectors>
  constexpr explicit StripSparseTiles(std::integer_sequence<int, Vectors...>)
      : kernel{{strip_sparse_tile<V, Vectors + 1, 1>, strip_sparse_tile<V, Vectors + 1, 2>,
                strip_sparse_tile<V, Vectors + 1, 0>}...} {}
};

template <class V>
void strip_sparse(const StripSparseCall& call) {
  static constexpr StripSparseTiles<V> tiles{std::make_integer_sequence<int, kStripVectors>()};
  const int kind = call.x_vector == V::width ? 0 : call.x_vector == 2 * V::width ? 1 : 2;
  tiles.kernel[call.vectors - 1][kind](call);
}

}  // namespace sparse_run::cpu
