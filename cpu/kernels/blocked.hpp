// Operators over blocked images, which only the CPU's own rewriting creates (domain "sparse_run").
#pragma once

#include <optional>
#include <string>

#include "cpu/kernels/convolution.hpp"
#include "cpu/step.hpp"

namespace sparse_run::cpu {

// A blocked value is an f32 tensor [N, ⌈C/16⌉, H, W, 16] that stands for [N, C, H, W]; channels beyond C hold anything
// finite. The operators, with the attributes of the nodes they replace:
//   BlockedConv(X, W, [B], [residual])   X blocked, or plain when it has rank 4; residual and result blocked
//   BlockedMaxPool(X), BlockedAveragePool(X)
//   BlockedGlobalAveragePool(X)          plain result [N, C, 1, 1]
//   ToBlocked(X), FromBlocked(X)         between [N, C, H, W] and blocked
// Elementwise operators and Concat along whole blocks need no counterpart: they work on the tensor as it is.

/// [N, ⌈C/16⌉, H, W, 16] of [N, C, H, W].
Shape blocked_shape(const Shape& plain);

/// Says why blocked kernels do not compute this Conv or FusedConv over plain NCHW values, and describes it otherwise.
std::optional<std::string> describe_blocked_convolution(const NodeView& view, Convolution& conv);

/// Input channels up to which a convolution reads plain planes: blocks would be mostly padding.
inline constexpr std::int64_t kPlainInputChannels = 4;

/// The same question for MaxPool and AveragePool over plain NCHW values.
std::optional<std::string> why_no_blocked_pool(const NodeView& view);

}  // namespace sparse_run::cpu
