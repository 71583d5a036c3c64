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

/// The same for a matrix product: element (n, k) of the weights at weights[n · n_stride + k · k_stride], times `scale`.
AlignedVector<float> pack_blocked_product(const float* weights, std::int64_t n, std::int64_t n_stride, std::int64_t k,
                                          std::int64_t k_stride, float scale, Isa isa);

/// `weights` is [channels][taps]; the result is [block][tap][16], padded with 0.
AlignedVector<float> pack_blocked_depthwise(std::span<const float> weights, std::int64_t channels, std::int64_t taps);

}  // namespace sparse_run::cpu
