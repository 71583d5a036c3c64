// Collects a panel [k][lane] of a column kernel's right-hand matrix into the innermost cache.
#pragma once

#include <new>

#include "cpu/column/column.hpp"
#include "cpu/column/vec.hpp"

namespace sparse_run::cpu {

/// Collects panels of one block of lanes through a window: row k of a panel at panel + (k - k_begin) · pitch. Lanes up
/// to the next multiple of the vector width are set to 0; the panel must have room for them. Reads nothing but the
/// elements that lie in the image. How a tap's lanes lie in memory is worked out once per block, not once per panel,
/// where the table below has room for all taps.
template <class V>
class WindowCollector {
 public:
  using Mask = typename V::Mask;

  WindowCollector(const Window& window, const float* x, std::size_t lane_begin, int lanes)
      : window_(window), x_(x), lane_begin_(lane_begin), lanes_(lanes) {
    const int vectors = (lanes + V::width - 1) / V::width, taps = window.taps();
    if (taps > kCuts / vectors) return;
    int used = 0, cut_number = 0;
    for (int v = 0; v < vectors; ++v) {
      const Position start = position(v);
      const int count = lanes_of(v);
      for (int tap = 0; tap < taps; ++tap) {
        if (used + V::width > kPieces) return;
        const int n = cut(start, tap / window.kernel_width, tap % window.kernel_width, count, pieces_ + used);
        cuts_[cut_number++] = {used, n};
        used += n;
      }
    }
    prepared_ = true;
  }

  [[gnu::noinline]] void collect(std::size_t k_begin, std::size_t k_end, float* panel, int pitch) const {
    const auto taps = static_cast<std::size_t>(window_.taps());
    const std::size_t first_channel = k_begin / taps, row = static_cast<std::size_t>(pitch);
    const int vectors = (lanes_ + V::width - 1) / V::width;
    for (int v = 0; v < vectors; ++v) {
      float* out = panel + v * V::width;
      const Position start = prepared_ ? Position{} : position(v);
      std::size_t k = first_channel * taps, tap = 0;
      for (int kh = 0; kh < window_.kernel_height; ++kh) {
        for (int kw = 0; kw < window_.kernel_width; ++kw, ++tap, ++k) {
          const bool before = k < k_begin;
          const std::size_t channel = first_channel + (before ? 1 : 0), first = before ? k + taps : k;
          if (first >= k_end) continue;
          Piece own[V::width];
          const Piece* pieces = own;
          int n;
          if (prepared_) {
            const Cut& prepared = cuts_[static_cast<std::size_t>(v) * taps + tap];
            pieces = pieces_ + prepared.begin;
            n = prepared.count;
          } else {
            n = cut(start, kh, kw, lanes_of(v), own);
          }
          copy_channels(x_ + static_cast<std::ptrdiff_t>(channel) * window_.channel_stride, pieces, n, k_end - first,
                        out + (first - k_begin) * row, row * taps);
        }
      }
    }
  }

 private:
  static constexpr int kCuts = 128;
  static constexpr int kPieces = 256;

  /// The contiguous or strided run of elements that supplies lanes [begin, end) of one vector.
  struct Piece {
    std::ptrdiff_t offset;  // of the element for lane 0 of the vector, from (channel 0, first row, column 0)
    int begin, end;
    Mask mask() const { return V::lanes(begin, end); }
  };
  struct Cut {
    int begin, count;
  };
  struct Position {
    int image, row, column;
  };

  int lanes_of(int vector) const {
    const int left = lanes_ - vector * V::width;
    return left < V::width ? left : V::width;
  }

  Position position(int vector) const {
    const auto width = static_cast<std::size_t>(window_.out_width),
               height = static_cast<std::size_t>(window_.out_height);
    const std::size_t lane = lane_begin_ + static_cast<std::size_t>(vector * V::width), row = lane / width;
    return {static_cast<int>(row / height), static_cast<int>(row % height), static_cast<int>(lane % width)};
  }

  /// The pieces of tap (kh, kw) for `count` lanes from an output position on.
  int cut(Position at, int kh, int kw, int count, Piece* pieces) const {
    int n = 0;
    const int step = window_.stride_width;
    for (int lane = 0; lane < count;) {
      const int left = window_.out_width - at.column;
      const int run = count - lane < left ? count - lane : left;
      const int in_row = at.row * window_.stride_height - window_.pad_top + kh * window_.dilation_height;
      if (in_row >= 0 && in_row < window_.height) {
        const int in_column = at.column * step - window_.pad_left + kw * window_.dilation_width;
        int begin = 0, end = run;
        if (in_column < 0) begin = (step - 1 - in_column) / step;
        if (in_column + (run - 1) * step >= window_.width) {
          end = in_column < window_.width ? (window_.width - 1 - in_column) / step + 1 : 0;
        }
        if (begin < end) {
          pieces[n++] = {at.image * window_.image_stride + (in_row - window_.first_row) * window_.row_stride +
                             in_column - std::ptrdiff_t{lane} * step,
                         lane + begin, lane + end};
        }
      }
      lane += run;
      at.column = 0;
      if (++at.row == window_.out_height) {
        at.row = 0;
        ++at.image;
      }
    }
    return n;
  }

  /// One row of every `taps` of the `left` panel rows: the same pieces of consecutive channels.
  [[gnu::always_inline]] void copy_channels(const float* in, const Piece* pieces, int n, std::size_t left, float* out,
                                            std::size_t out_stride) const {
    const auto taps = static_cast<std::ptrdiff_t>(window_.taps());
    auto rows = static_cast<std::ptrdiff_t>(left);
    const std::ptrdiff_t stride = window_.channel_stride;
    if (n == 0) {
      for (; rows > 0; rows -= taps, out += out_stride) V::store(out, V::zero());
    } else if (window_.stride_width == 1 && n == 1) {
      const Mask mask = pieces[0].mask();
      for (in += pieces[0].offset; rows > 0; rows -= taps, in += stride, out += out_stride) {
        V::store(out, V::load(in, mask));
      }
    } else if (window_.stride_width == 1 && n == 2) {
      const Mask mask0 = pieces[0].mask(), mask1 = pieces[1].mask();
      const std::ptrdiff_t second = pieces[1].offset - pieces[0].offset;
      for (in += pieces[0].offset; rows > 0; rows -= taps, in += stride, out += out_stride) {
        V::store(out, V::merge(V::load(in, mask0), in + second, mask1));
      }
    } else if (window_.stride_width == 1) {
      for (; rows > 0; rows -= taps, in += stride, out += out_stride) {
        auto value = V::zero();
        for (int i = 0; i < n; ++i) value = V::merge(value, in + pieces[i].offset, pieces[i].mask());
        V::store(out, value);
      }
    } else if (window_.stride_width == 2 && n == 1 && pieces[0].begin == 0 && pieces[0].end == V::width) {
      for (in += pieces[0].offset; rows > 0; rows -= taps, in += stride, out += out_stride) {
        V::store(out, V::load_stride2(in));
      }
    } else if (window_.stride_width == 2) {
      for (; rows > 0; rows -= taps, in += stride, out += out_stride) {
        auto value = V::zero();
        for (int i = 0; i < n; ++i) value = V::merge_stride2(value, in + pieces[i].offset, pieces[i].mask());
        V::store(out, value);
      }
    } else {
      for (; rows > 0; rows -= taps, in += stride, out += out_stride) {
        V::store(out, V::zero());
        for (int i = 0; i < n; ++i) {
          for (int lane = pieces[i].begin; lane < pieces[i].end; ++lane) {
            out[lane] = in[pieces[i].offset + std::ptrdiff_t{lane} * window_.stride_width];
          }
        }
      }
    }
  }

  const Window& window_;
  const float* x_;
  std::size_t lane_begin_;
  int lanes_;
  bool prepared_ = false;
  Cut cuts_[kCuts];
  Piece pieces_[kPieces];
};

/// The same for plain rows: lane l of row k at x[k · row_stride + l].
template <class V>
[[gnu::noinline]] void collect_rows(const float* x, std::ptrdiff_t row_stride, std::size_t rows, int lanes,
                                    float* panel, int pitch) {
  const int whole = lanes / V::width * V::width;
  const auto rest = V::lanes(lanes - whole);
  for (; rows > 0; --rows, x += row_stride, panel += pitch) {
    for (int lane = 0; lane < whole; lane += V::width) V::store(panel + lane, V::load(x + lane));
    if (whole < lanes) V::store(panel + whole, V::load(x + whole, rest));
  }
}

/// Collects one block of lanes of any input.
template <class V>
class BlockCollector {
 public:
  BlockCollector(const ColumnInput& input, std::size_t lane_begin, int lanes)
      : input_(input), lane_begin_(lane_begin), lanes_(lanes) {
    if (input.window != nullptr) new (&window_) WindowCollector<V>(*input.window, input.x, lane_begin, lanes);
  }

  void collect(std::size_t k_begin, std::size_t k_end, float* panel, int pitch) const {
    if (input_.window != nullptr) {
      window_.collect(k_begin, k_end, panel, pitch);
    } else {
      collect_rows<V>(input_.x + static_cast<std::ptrdiff_t>(k_begin) * input_.row_stride + lane_begin_,
                      input_.row_stride, k_end - k_begin, lanes_, panel, pitch);
    }
  }

 private:
  const ColumnInput& input_;
  std::size_t lane_begin_;
  int lanes_;
  union {
    WindowCollector<V> window_;  // alive when the input has a window; trivially destructible
  };
};

}  // namespace sparse_run::cpu
