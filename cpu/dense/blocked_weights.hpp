// Convolution weights in the order in which blocked kernels read them.
#pragma once

#include <span>

#include "cpu/column/aligned.hpp"
#include "cpu/dense/blocked.hpp"

namespace sparse_run::cpu {

/// `weights` is [out_channels][in_channels][taps]; the result is [group of output blocks][input block][tap][channel of
/// the input block][channel of the group], padded with 0. With `plain` every input channel is a block of its own.
AlignedVector<float> pack_blocked_convolution(std::span<const float> weights, std::int64_t out_channels,
                                              std::int64_t in_channels, std::int64_t taps, bool plain, Isa isa);

/// `weights` is [channels][taps]; the result is [block][tap][16], padded with 0.
AlignedVector<float> pack_blocked_depthwise(std::span<const float> weights, std::int64_t channels, std::int64_t taps);

}  // namespace sparse_run::cpu
