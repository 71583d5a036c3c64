// Kernels over blocked images: [block of 16 channels][row][column][16 channels], the layout dense convolutions prefer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/column/column.hpp"
#include "cpu/column/epilogue.hpp"
#include "cpu/isa.hpp"

namespace sparse_run::cpu {

/// Channels of a block. The last block of an image whose channels are no multiple is padded: any finite values may lie
/// there, weights that meet them are 0.
inline constexpr int kBlockChannels = 16;
/// Taps of the largest window the kernels take.
inline constexpr int kBlockedTaps = 128;
/// Room for the window of one tile that touches the padding, on the kernel's stack.
inline constexpr std::size_t kBlockedStageFloats = 8192;

constexpr std::int64_t blocks_of(std::int64_t channels) { return (channels + kBlockChannels - 1) / kBlockChannels; }

/// Where results lie: block b, row r, column c at y + b · block + r · row + c · column, 16 floats each.
struct BlockedPlace {
  std::ptrdiff_t block = 0, row = 0, column = kBlockChannels;
};

/// The part of one image's result that a call computes. Blocks are those of the output.
struct BlockedPart {
  int row_begin = 0, row_end = 0;
  int column_begin = 0, column_end = 0;
  int block_begin = 0, block_end = 0;  ///< convolution: multiples of conv_blocks, or block_end = the last block
};

/// One image through a convolution. Window: channel_stride is the distance of input blocks (of planes when `plain`),
/// row_stride that of image rows; images, image_stride and first_row are not used; stride_width is 1 or 2. A view.
struct BlockedConvCall {
  const Window& window;
  const float* x;        ///< of the image
  int in_blocks;         ///< blocks of input channels; planes when `plain`
  bool plain;            ///< the input is [channel][row][column]
  const float* weights;  ///< packed by BlockedWeights
  int out_channels;
  float* y;
  BlockedPlace place;
  const Epilogue& epilogue;  ///< residual lies like y; residual_stride is not used
  BlockedPart part;
};

/// One image through a depthwise convolution: channel c of the result is channel c of the input convolved with its own
/// taps. Input and result are blocked; strides as in BlockedConvCall, any stride_width.
struct BlockedDepthwiseCall {
  const Window& window;
  const float* x;
  const float* weights;  ///< [block][tap][16]
  int channels;
  float* y;
  BlockedPlace place;
  const Epilogue& epilogue;
  BlockedPart part;
};

/// One image through a pooling window. Maximum: padding does not count, NaN wins. Average: the mean of the elements
/// that lie in the image, or over all taps when padding counts.
struct BlockedPoolCall {
  const Window& window;
  const float* x;
  float* y;
  BlockedPlace place;
  bool average;
  bool count_padding;
  BlockedPart part;
};

struct BlockedKernels {
  Isa isa;
  int conv_blocks;     ///< output blocks that the convolution computes together
  int conv_positions;  ///< output positions of a whole tile
  void (*convolution)(const BlockedConvCall&);
  void (*depthwise)(const BlockedDepthwiseCall&);
  void (*pool)(const BlockedPoolCall&);
  /// Sums over `positions` of each of the 16 channels of one block.
  void (*sum)(const float* x, std::size_t positions, float* sums);
  /// One block of plain planes [channels ≤ 16][positions] (`stride` floats apart) to [positions][16]; the rest is 0.
  void (*to_block)(const float* x, std::size_t stride, int channels, std::size_t positions, float* y);
  /// The other way round.
  void (*from_block)(const float* x, int channels, std::size_t positions, float* y, std::size_t stride);
};

/// Whether the convolution kernel computes windows of this shape.
bool blocked_window_fits(const Window& window) noexcept;

/// The kernels of a set that the processor must run (runnable_isas()).
const BlockedKernels& blocked_kernels(Isa isa) noexcept;

// One per translation unit blocked_<isa>.cpp.
extern const BlockedKernels kPortableBlockedKernels;
extern const BlockedKernels kAvx2BlockedKernels;
extern const BlockedKernels kAvx512BlockedKernels;

}  // namespace sparse_run::cpu
