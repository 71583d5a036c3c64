// Where a column kernel reads its right-hand rows and which part of the result it computes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sparse_run::cpu {

/// The sliding window of a convolution over images laid out [channel][image][row][column] with free strides: plain NCHW
/// one image at a time, or a batch in the lanes. Row k = (channel · kernel_height + kh) · kernel_width + kw of the
/// right-hand matrix holds, for lane (image · out_height + oh) · out_width + ow, the element that tap (kh, kw) of
/// the window at (oh, ow) covers, and 0 where that lies in the padding.
struct Window {
  int images = 1;
  int height = 1, width = 1;  ///< of the whole input image; rows and columns outside are padding
  int out_height = 1, out_width = 1;
  int kernel_height = 1, kernel_width = 1;
  int stride_height = 1, stride_width = 1;
  int dilation_height = 1, dilation_width = 1;
  int pad_top = 0, pad_left = 0;
  std::ptrdiff_t channel_stride = 0;  ///< floats from a channel to the next
  std::ptrdiff_t image_stride = 0;    ///< floats from an image to the next
  std::ptrdiff_t row_stride = 0;      ///< floats from an image row to the next
  int first_row = 0;                  ///< the image row that `x` points at: a strip holds only the rows its lanes need

  int taps() const noexcept { return kernel_height * kernel_width; }
  std::size_t lanes() const noexcept {
    return static_cast<std::size_t>(images) * static_cast<std::size_t>(out_height) *
           static_cast<std::size_t>(out_width);
  }
  /// True when lane l of channel c is simply x[c · channel_stride + l]: the kernel then reads without collecting.
  bool is_plain() const noexcept;
};

/// The right-hand matrix X[k][lane] of a column kernel, read in one of two ways. A view.
struct ColumnInput {
  const float* x = nullptr;
  const Window* window = nullptr;  ///< collected through a window when set, else X[k][lane] = x[k · row_stride + lane]
  std::ptrdiff_t row_stride = 0;

  static ColumnInput rows(const float* x, std::ptrdiff_t row_stride) noexcept { return {x, nullptr, row_stride}; }
  static ColumnInput windowed(const float* x, const Window& window) noexcept {
    if (window.is_plain()) return rows(x, window.channel_stride);
    return {x, &window, 0};
  }
};

/// The part of Y[rows][lanes] one call computes. Several threads may compute disjoint parts of one result.
struct ColumnPart {
  std::size_t lane_begin = 0, lane_end = 0;
  std::size_t row_begin = 0, row_end = 0;  ///< both multiples of the matrix's row_step(), or row_end = rows()
};

}  // namespace sparse_run::cpu
