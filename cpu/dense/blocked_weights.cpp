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
