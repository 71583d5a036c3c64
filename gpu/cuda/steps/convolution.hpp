// What a convolution on the GPU is, before a library or kernel runs it.
#pragma once

#include <vector>

#include "gpu/cuda/kernels/windows.hpp"
#include "gpu/cuda/steps/activation.hpp"
#include "gpu/cuda/steps/node_view.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run::gpu::cuda {

/// Conv or FusedConv: operands x, w, bias, residual. One spatial axis is taken as the second of two.
struct ConvolutionProblem {
  ConvGeometry geometry;
  bool has_bias = false;
  bool has_residual = false;
  UnaryCall activation;

  static ConvolutionProblem of(const NodeView& view);
  /// [N, C, …] of operand and result, [M, C/group, …] of weights, each with at least two spatial axes.
  std::vector<std::int64_t> input_shape() const;
  std::vector<std::int64_t> weight_shape() const;
  std::vector<std::int64_t> output_shape() const;
  double flops() const;  ///< of dense weights
};

/// One axis as kernels take it.
WindowSpan span_of(const WindowAxis& axis);
/// An axis of one element, for images with a single spatial axis.
WindowAxis trivial_axis();

}  // namespace sparse_run::gpu::cuda
