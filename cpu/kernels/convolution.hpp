// What a convolution node asks of column kernels: shared by the dense, sparse and depthwise kernels.
#pragma once

#include <optional>
#include <string>

#include "cpu/column/column.hpp"
#include "cpu/column/epilogue.hpp"
#include "cpu/selection/estimate.hpp"
#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// A Conv or FusedConv node as column kernels see it.
struct Convolution {
  std::int64_t images = 0, groups = 1;
  std::int64_t in_channels = 0, out_channels = 0;  ///< per group
  Window window;
  std::int64_t in_plane = 0, out_plane = 0;
  Activation activation;
  bool bias = false, residual = false;

  std::size_t k() const { return static_cast<std::size_t>(in_channels) * static_cast<std::size_t>(window.taps()); }
  /// Arithmetic and traffic of one run, for estimates.
  Workload workload() const;
};

/// Describes the node, or says why it is none that column kernels compute.
std::optional<std::string> describe_convolution(const NodeView& view, Convolution& conv);

/// The same for an input that lies in memory in another layout than its [N, C, …] shape `input`.
std::optional<std::string> describe_convolution(const NodeView& view, const Shape& input, Convolution& conv);

}  // namespace sparse_run::cpu
