// Collects a panel [k][lane] of a column kernel's right-hand matrix into the innermost cache.
#pragma once

#include "cpu/column/column.hpp"
#include "cpu/column/vec.hpp"

namespace sparse_run::cpu {

/// Collects panels whose rows are k_begin ≤ k < k_end and whose lanes are [lane_begin, lane_begin + lanes), row k at
/// panel + (k - k_begin) · pitch. Lanes up to the next multiple of the vector width are set to 0; the panel must have
/// room for them and be aligned to a vector. Reads nothing but the elements that lie in the image.
template <class V>
struct WindowCollector {
  using Mask = typename V::Mask;

  /// The contiguous or strided run of elements that supplies some lanes of one vector.
  struct Piece {
    std::ptrdiff_t offset;  // of the element for lane 0 of the vector, from (channel 0, first row, column 0)
    Mask mask;
    int begin, end;
  };

  const Window& window;
  const float* x;

  [[gnu::noinline]] void collect(std::size_t k_begin, std::size_t k_end, std::size_t lane_begin, int lanes,
                                 float* panel, int pitch) const {
    for (int lane = 0; lane < lanes; lane += V::width) {
      const int count = lanes - lane < V::width ? lanes - lane : V::width;
      collect_vector(k_begin, k_end, lane_begin + static_cast<std::size_t>(lane), count, panel + lane, pitch);
    }
  }

 private:
  void collect_vector(std::size_t k_begin, std::size_t k_end, std::size_t lane, int count, float* out,
                      int pitch) const {
    const auto width = static_cast<std::size_t>(window.out_width), height = static_cast<std::size_t>(window.out_height);
    const std::size_t row = lane / width;
    const int column = static_cast<int>(lane % width);
    const int image = static_cast<int>(row / height), image_row = static_cast<int>(row % height);
    const auto taps = static_cast<std::size_t>(window.taps());
    const std::size_t first_channel = k_begin / taps;
    std::size_t tap = 0;
    for (int kh = 0; kh < window.kernel_height; ++kh) {
      for (int kw = 0; kw < window.kernel_width; ++kw, ++tap) {
        const std::size_t channel = first_channel + (first_channel * taps + tap < k_begin ? 1 : 0);
        const std::size_t k = channel * taps + tap;
        if (k >= k_end) continue;
        const std::size_t channels = (k_end - k + taps - 1) / taps;
        Piece pieces[V::width];
        const int n = cut(image, image_row, column, kh, kw, count, pieces);
        copy_channels(x + static_cast<std::ptrdiff_t>(channel) * window.channel_stride, pieces, n, channels,
                      out + (k - k_begin) * static_cast<std::size_t>(pitch), static_cast<std::size_t>(pitch) * taps);
      }
    }
  }

  /// The pieces of tap (kh, kw) for `count` lanes from output position (image, row, column) on.
  int cut(int image, int row, int column, int kh, int kw, int count, Piece* pieces) const {
    int n = 0;
    const int step = window.stride_width;
    for (int lane = 0; lane < count;) {
      const int left = window.out_width - column;
      const int run = count - lane < left ? count - lane : left;
      const int in_row = row * window.stride_height - window.pad_top + kh * window.dilation_height;
      if (in_row >= 0 && in_row < window.height) {
        const int in_column = column * step - window.pad_left + kw * window.dilation_width;
        int begin = 0, end = run;
        if (in_column < 0) begin = (step - 1 - in_column) / step;
        if (in_column + (run - 1) * step >= window.width) {
          end = in_column < window.width ? (window.width - 1 - in_column) / step + 1 : 0;
        }
        if (begin < end) {
          pieces[n++] = {image * window.image_stride + (in_row - window.first_row) * window.row_stride + in_column -
                             std::ptrdiff_t{lane} * step,
                         V::lanes(lane + begin, lane + end), lane + begin, lane + end};
        }
      }
      lane += run;
      column = 0;
      if (++row == window.out_height) {
        row = 0;
        ++image;
      }
    }
    return n;
  }

  void copy_channels(const float* in, const Piece* pieces, int n, std::size_t channels, float* out,
                     std::size_t out_stride) const {
    const std::ptrdiff_t stride = window.channel_stride;
    if (n == 0) {
      for (; channels > 0; --channels, out += out_stride) V::store(out, V::zero());
    } else if (window.stride_width == 1 && n == 1) {
      const Mask mask = pieces[0].mask;
      for (in += pieces[0].offset; channels > 0; --channels, in += stride, out += out_stride) {
        V::store(out, V::load(in, mask));
      }
    } else if (window.stride_width == 1 && n == 2) {
      const Mask mask0 = pieces[0].mask, mask1 = pieces[1].mask;
      const std::ptrdiff_t second = pieces[1].offset - pieces[0].offset;
      for (in += pieces[0].offset; channels > 0; --channels, in += stride, out += out_stride) {
        V::store(out, V::merge(V::load(in, mask0), in + second, mask1));
      }
    } else if (window.stride_width == 1) {
      for (; channels > 0; --channels, in += stride, out += out_stride) {
        auto value = V::zero();
        for (int i = 0; i < n; ++i) value = V::merge(value, in + pieces[i].offset, pieces[i].mask);
        V::store(out, value);
      }
    } else if (window.stride_width == 2) {
      for (; channels > 0; --channels, in += stride, out += out_stride) {
        auto value = V::zero();
        for (int i = 0; i < n; ++i) value = V::merge_stride2(value, in + pieces[i].offset, pieces[i].mask);
        V::store(out, value);
      }
    } else {
      for (; channels > 0; --channels, in += stride, out += out_stride) {
        V::store(out, V::zero());
        for (int i = 0; i < n; ++i) {
          for (int lane = pieces[i].begin; lane < pieces[i].end; ++lane) {
            out[lane] = in[pieces[i].offset + std::ptrdiff_t{lane} * window.stride_width];
          }
        }
      }
    }
  }
};

/// The same panel of plain rows: lane l of row k at x[k · row_stride + l].
template <class V>
[[gnu::noinline]] void collect_rows(const float* x, std::ptrdiff_t row_stride, std::size_t k_begin, std::size_t k_end,
                                    std::size_t lane_begin, int lanes, float* panel, int pitch) {
  const float* in = x + static_cast<std::ptrdiff_t>(k_begin) * row_stride + lane_begin;
  const int whole = lanes / V::width * V::width;
  const auto rest = V::lanes(lanes - whole);
  for (std::size_t k = k_begin; k < k_end; ++k, in += row_stride, panel += pitch) {
    for (int lane = 0; lane < whole; lane += V::width) V::store(panel + lane, V::load(in + lane));
    if (whole < lanes) V::store(panel + whole, V::load(in + whole, rest));
  }
}

template <class V>
[[gnu::always_inline]] inline void collect_panel(const ColumnInput& input, std::size_t k_begin, std::size_t k_end,
                                                 std::size_t lane_begin, int lanes, float* panel, int pitch) {
  if (input.window != nullptr) {
    WindowCollector<V>{*input.window, input.x}.collect(k_begin, k_end, lane_begin, lanes, panel, pitch);
  } else {
    collect_rows<V>(input.x, input.row_stride, k_begin, k_end, lane_begin, lanes, panel, pitch);
  }
}

}  // namespace sparse_run::cpu
