// How the windows of convolutions and poolings lie over their input: resolved attributes, paddings, output sizes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/ir/node.hpp"

namespace sparse_run {

/// One spatial axis of a sliding window. Window o, tap k reads input position(o, k); of a transposed convolution,
/// input o and tap k add to output position(o, k). Sizes in elements; -1: not known yet.
struct WindowAxis {
  std::int64_t input = kUnknownDim;
  std::int64_t kernel = kUnknownDim;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  std::int64_t pad_begin = 0;
  std::int64_t pad_end = 0;
  std::int64_t output = kUnknownDim;

  /// Elements from the first to the last tap, both included.
  std::int64_t extent() const noexcept { return (kernel - 1) * dilation + 1; }
  /// Negative, or beyond the size, where the tap lies in the padding.
  std::int64_t position(std::int64_t window, std::int64_t tap) const noexcept {
    return window * stride - pad_begin + tap * dilation;
  }
  bool known() const noexcept { return input >= 0 && kernel >= 0 && output >= 0; }
};

/// A convolution over concrete or partly unknown shapes. Everything that depends only on known sizes is resolved:
/// type inference, the oracle, the fast kernels and the planner all read their geometry from here.
struct ConvGeometry {
  std::int64_t batch = kUnknownDim;
  std::int64_t in_channels = kUnknownDim;
  std::int64_t out_channels = kUnknownDim;
  std::int64_t group = 1;
  std::vector<WindowAxis> axes;  ///< one per spatial dimension, outermost first

  /// Conv, ConvInteger, QLinearConv, DeformConv: input [N, C, …], weights [M, C/group, …], either partly unknown.
  /// Throws Error(model) when attributes and shapes contradict each other, Error(limit) when sizes overflow.
  static ConvGeometry forward(const Node& node, const Shape& input, const Shape& weights);
  /// ConvTranspose: input [N, C, …], weights [C, M/group, …].
  static ConvGeometry transposed(const Node& node, const Shape& input, const Shape& weights);

  bool known() const noexcept;
  /// [N, M, …]
  Shape output_shape() const;
};

/// A pooling: each channel by itself.
struct PoolGeometry {
  std::int64_t batch = kUnknownDim;
  std::int64_t channels = kUnknownDim;
  std::vector<WindowAxis> axes;

  /// MaxPool, AveragePool, LpPool: reads kernel_shape, strides, dilations, pads, auto_pad, ceil_mode.
  static PoolGeometry sliding(const Node& node, const Shape& input);
  /// The Global* poolings: one window over the whole input.
  static PoolGeometry global(const Shape& input);

  bool known() const noexcept;
  /// [N, C, …]
  Shape output_shape() const;
};

/// Col2Im: windows of size `block` over an image; strides, dilations and pads from the node. Each axis's output is
/// its number of blocks.
std::vector<WindowAxis> unfolded_axes(const Node& node, const Shape& image, const Shape& block);

/// Output size of MaxUnpool without an output_shape operand.
Shape unpooled_shape(const Node& node, const Shape& input);

/// a + b, a * b of sizes; Error(limit) when the result does not fit 63 bits.
std::int64_t checked_add(std::int64_t a, std::int64_t b);
std::int64_t checked_multiply(std::int64_t a, std::int64_t b);

}  // namespace sparse_run
