// Packing by plain loops over the result.
#include "cpu/dense/blocked_weights.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace sparse_run::cpu {

AlignedVector<float> pack_blocked_convolution(std::span<const float> weights, std::int64_t out_channels,
                                              std::int64_t in_channels, std::int64_t taps, bool plain, Isa isa) {
  require(static_cast<std::int64_t>(weights.size()) == out_channels * in_channels * taps,
          "blocked weights have another size than their channels and taps");
  const std::int64_t inner = plain ? 1 : kBlockChannels;
  const std::int64_t in_blocks = plain ? in_channels : blocks_of(in_channels);
  const std::int64_t out_blocks = blocks_of(out_channels);
  const std::int64_t together = blocked_kernels(isa).conv_blocks;
  AlignedVector<float> packed(static_cast<std::size_t>(out_blocks * kBlockChannels * in_blocks * inner * taps));
  float* out = packed.data();
  for (std::int64_t block = 0; block < out_blocks; block += together) {
    const std::int64_t first = block * kBlockChannels;
    const std::int64_t width = std::min(together, out_blocks - block) * kBlockChannels;
    const std::int64_t valid = std::min(width, out_channels - first);
    for (std::int64_t in_block = 0; in_block < in_blocks; ++in_block) {
      const std::int64_t channels = std::min(inner, in_channels - in_block * inner);
      for (std::int64_t c = 0; c < valid; ++c) {  // one output channel's taps and channels lie together in the source
        const float* source = weights.data() + ((first + c) * in_channels + in_block * inner) * taps;
        for (std::int64_t i = 0; i < channels; ++i) {
          for (std::int64_t tap = 0; tap < taps; ++tap) out[(tap * inner + i) * width + c] = source[i * taps + tap];
        }
      }
      out += taps * inner * width;
    }
  }
  return packed;
}

AlignedVector<float> pack_blocked_product(const float* weights, std::int64_t n, std::int64_t n_stride, std::int64_t k,
                                          std::int64_t k_stride, float scale, Isa isa) {
  const std::int64_t rows = blocks_of(k) * kBlockChannels, columns = blocks_of(n) * kBlockChannels;
  const std::int64_t together = std::int64_t{blocked_kernels(isa).conv_blocks} * kBlockChannels;
  AlignedVector<float> packed(static_cast<std::size_t>(rows * columns));
  float* out = packed.data();
  for (std::int64_t first = 0; first < columns; first += together) {
    const std::int64_t width = std::min(together, columns - first);
    const std::int64_t valid = std::min(width, n - first);
    // blocks of k that keep the source's lines in the cache whichever way it lies
    for (std::int64_t k_begin = 0; k_begin < k; k_begin += kBlockChannels) {
      const std::int64_t k_end = std::min(k, k_begin + kBlockChannels);
      if (n_stride == 1) {
        for (std::int64_t i = k_begin; i < k_end; ++i) {
          const float* source = weights + i * k_stride + first;
          for (std::int64_t c = 0; c < valid; ++c) out[i * width + c] = source[c] * scale;
        }
      } else {
        for (std::int64_t c = 0; c < valid; ++c) {
          const float* source = weights + (first + c) * n_stride;
          for (std::int64_t i = k_begin; i < k_end; ++i) out[i * width + c] = source[i * k_stride] * scale;
        }
      }
    }
    out += rows * width;
  }
  return packed;
}

AlignedVector<float> pack_blocked_depthwise(std::span<const float> weights, std::int64_t channels, std::int64_t taps) {
  require(static_cast<std::int64_t>(weights.size()) == channels * taps,
          "depthwise weights have another size than their channels and taps");
  AlignedVector<float> packed(static_cast<std::size_t>(blocks_of(channels) * taps * kBlockChannels));
  for (std::int64_t channel = 0; channel < channels; ++channel) {
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      packed[static_cast<std::size_t>((channel / kBlockChannels * taps + tap) * kBlockChannels +
                                      channel % kBlockChannels)] =
          weights[static_cast<std::size_t>(channel * taps + tap)];
    }
  }
  return packed;
}

}  // namespace sparse_run::cpu
