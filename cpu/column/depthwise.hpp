// Depthwise convolution: each channel with its own kernel, straight from the images, borders included.
#pragma once

#include "cpu/column/column.hpp"
#include "cpu/column/epilogue.hpp"
#include "cpu/isa.hpp"

namespace sparse_run::cpu {

/// Where the result goes: plane (channel, image) at y + channel · channel_stride + image · image_stride, its rows
/// out_width apart.
struct DepthwiseResult {
  float* y = nullptr;
  std::ptrdiff_t channel_stride = 0;
  std::ptrdiff_t image_stride = 0;
};

/// One depthwise convolution, or a part of its channels and output rows. epilogue.residual is laid out exactly like y
/// (epilogue.residual_stride is not used) and may be y itself.
struct DepthwiseCall {
  const Window& window;
  const float* x;
  const float* weights;  ///< [channel][kernel_height][kernel_width], from channel 0 on
  DepthwiseResult result;
  const Epilogue& epilogue;
  std::size_t channel_begin, channel_end;
  int row_begin, row_end;  ///< of the output
};

/// Runs the kernel for `isa`. Reads no element outside the images and writes none outside the part; no workspace, no
/// alignment needed. Parts may run at once on several threads.
void run_depthwise(const DepthwiseCall& call, Isa isa) noexcept;

}  // namespace sparse_run::cpu
