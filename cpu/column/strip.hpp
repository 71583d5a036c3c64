// Columns with images in the lanes: how a tensor lies in a strip of rows, and the kernels that compute on strips.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/column/epilogue.hpp"
#include "cpu/isa.hpp"

namespace sparse_run::cpu {

/// Most positions (vectors of images) one pass of a strip kernel computes side by side.
inline constexpr int kStripVectors = 8;
/// Output rows of the dense strip kernel's tile.
inline constexpr int kStripDenseRows = 8;

/// How one group of images of a tensor is stored: [row][channel][position][lane], a lane being an image, as many as a
/// vector is wide. Each channel's row is surrounded by positions that hold 0 for convolutions to read as padding.
struct StripShape {
  int channels = 0, height = 0, width = 0;
  int pad_left = 0, pad_right = 0;  ///< positions of padding stored on either side
  int lanes = 0;                    ///< of a position

  /// Positions from a channel to the next: odd, so that channels spread over all sets of a cache.
  int pitch() const noexcept { return (pad_left + width + pad_right) | 1; }
  std::ptrdiff_t channel_stride() const noexcept { return std::ptrdiff_t{pitch()} * lanes; }  ///< floats
  std::ptrdiff_t row_stride() const noexcept { return channels * channel_stride(); }          ///< floats
  std::size_t row_bytes() const noexcept { return static_cast<std::size_t>(row_stride()) * sizeof(float); }
};

/// Rows of a strip in memory: row r begins (with its padding) at base + (r - first_row) · row_stride. A view.
struct StripRows {
  const StripShape* shape = nullptr;
  float* base = nullptr;
  int first_row = 0;

  /// Position 0 of channel 0 of a row.
  float* row(int r) const noexcept {
    return base + (r - first_row) * shape->row_stride() + std::ptrdiff_t{shape->pad_left} * shape->lanes;
  }
};

/// One step of two output channels: which right-hand rows they read, in positions from the tile's first, and weights. A
/// step of both on the same row uses the first place.
struct StripStep {
  std::uint16_t at[2];
  float weight[2];
};
static_assert(sizeof(StripStep) == 12);

/// Consecutive pairs of output channels that have `shared` steps on the same rows, then `both` on rows of their own,
/// the first of them `more` besides.
struct StripRun {
  std::uint32_t shared, both, more, pairs;
};

/// What the call after this one reads of its operand, to be fetched into the private cache: of each of `rows` rows, the
/// same `bytes` of each of `channels` channels. Strides in bytes.
struct StripAhead {
  const char* at = nullptr;
  std::uint32_t rows = 0, channels = 0, bytes = 0;
  std::ptrdiff_t row_stride = 0, channel_stride = 0;
};

/// One K tile of sparse weights times `vectors` neighbouring positions, for all output channels of the tile. Strides in
/// floats.
struct StripSparseCall {
  const StripStep* steps;
  const std::uint32_t* channels;  ///< pairs of output channels; the last pairs are repeated to be fetched ahead
  const StripRun* runs;
  std::size_t run_count;
  std::uint32_t pairs;      ///< of all runs
  const float* x;           ///< of the tile's first right-hand row, at the first position
  std::ptrdiff_t x_vector;  ///< from a position to the next
  float* y;                 ///< channel 0 at the first position; positions are contiguous
  std::ptrdiff_t y_channel;
  const float* bias;      ///< or null
  const float* residual;  ///< like y, or null
  std::ptrdiff_t residual_channel;
  Activation activation;
  bool first, last;  ///< of the K tiles
  int vectors;
  StripAhead next;
};

/// The same for dense weights [block of kStripDenseRows channels][k][channel].
struct StripDenseCall {
  const float* weights;
  const std::uint32_t* at;  ///< k offsets, in floats
  std::size_t k;
  std::size_t channels;
  const float* x;
  std::ptrdiff_t x_vector;
  float* y;
  std::ptrdiff_t y_channel;
  const float* bias;
  const float* residual;
  std::ptrdiff_t residual_channel;
  Activation activation;
  bool first, last;
  int vectors;
};

/// One output row of a depthwise convolution. `x[kh]` is the input row of tap row kh at (channel 0, position
/// -pad_left).
struct StripDepthwiseCall {
  const float* const* x;
  int kernel_height, kernel_width;
  std::ptrdiff_t x_vector, x_tap;  ///< from an output position to the next; from a tap to the next
  std::ptrdiff_t x_channel;
  const float* weights;  ///< [channel][kernel_height][kernel_width]
  float* y;
  std::ptrdiff_t y_channel;
  const float* bias;
  const float* residual;
  std::ptrdiff_t residual_channel;
  Activation activation;
  int channels, width;
};

/// One output row of a pooling. `x` lists the input rows of the taps that lie in the image, at (channel 0, position 0).
struct StripPoolCall {
  const float* const* x;
  int rows;
  int kernel_width, stride, dilation, pad_left;
  int in_width;
  std::ptrdiff_t x_channel;
  float* y;
  std::ptrdiff_t y_channel;
  int channels, width;
  bool average;
  int divisor;  ///< of an average; 0: the number of taps within the image
};

struct StripKernels {
  Isa isa;
  int width;         ///< lanes of a vector
  int most_vectors;  ///< positions of a tile whose sums stay in registers
  void (*sparse)(const StripSparseCall&);
  void (*dense)(const StripDenseCall&);
  void (*depthwise)(const StripDepthwiseCall&);
  void (*pool)(const StripPoolCall&);
};

/// The kernels of a set that the processor must run (runnable_isas()).
const StripKernels& strip_kernels(Isa isa) noexcept;

// One per translation unit strip_kernels_<isa>.cpp.
extern const StripKernels kPortableStripKernels;
extern const StripKernels kAvx2StripKernels;
extern const StripKernels kAvx512StripKernels;

}  // namespace sparse_run::cpu
