// The convolution that every reference operator of the family calls, over any accumulator type.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/reference/numbers.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run::reference {

/// A kernel tap that falls inside the other tensor: flat spatial offsets there and in the kernel.
struct Tap {
  std::int64_t position;
  std::int64_t kernel;
};

/// The taps of one axis whose position is below `size` and not negative: [first, last), in closed form so that an
/// absurdly large kernel costs no time.
struct TapRange {
  std::int64_t first;
  std::int64_t last;
};

inline TapRange tap_range(const WindowAxis& axis, std::int64_t window, std::int64_t size) {
  const std::int64_t start = axis.position(window, 0);
  const auto taps_below = [&](std::int64_t bound) {  // number of taps at positions below `bound`
    const std::int64_t room = bound - start;
    return room <= 0 ? 0 : std::min(axis.kernel, (room - 1) / axis.dilation + 1);
  };
  return {taps_below(0), taps_below(size)};
}

/// Taps of the window at `window` whose position lies inside `sizes` (one per axis).
inline void taps_inside(std::span<const WindowAxis> axes, std::span<const std::int64_t> window,
                        std::span<const std::int64_t> sizes, std::vector<Tap>& taps) {
  taps.clear();
  std::vector<TapRange> ranges;
  std::vector<std::int64_t> counts;
  for (std::size_t d = 0; d < axes.size(); ++d) {
    ranges.push_back(tap_range(axes[d], window[d], sizes[d]));
    counts.push_back(ranges[d].last - ranges[d].first);
  }
  if (has_no_elements(counts)) return;
  std::vector<std::int64_t> index(axes.size(), 0);
  do {
    Tap tap{0, 0};
    for (std::size_t d = 0; d < axes.size(); ++d) {
      const std::int64_t k = ranges[d].first + index[d];
      tap.position = tap.position * sizes[d] + axes[d].position(window[d], k);
      tap.kernel = tap.kernel * axes[d].kernel + k;
    }
    taps.push_back(tap);
  } while (next_index(index, counts));
}

inline std::vector<std::int64_t> sizes_of(std::span<const WindowAxis> axes, std::int64_t WindowAxis::*member) {
  std::vector<std::int64_t> sizes;
  for (const WindowAxis& axis : axes) sizes.push_back(axis.*member);
  return sizes;
}

/// y[n, m, o] = sum over the group's channels c and taps k inside the input of x[n, c, position(o, k)] w[m, c, k].
/// Padding takes no part, so an infinite weight over padding gives no NaN.
template <class Number>
std::vector<Number> convolve(const ConvGeometry& geometry, std::span<const Number> x, std::span<const Number> w) {
  const auto inputs = sizes_of(geometry.axes, &WindowAxis::input);
  const auto outputs = sizes_of(geometry.axes, &WindowAxis::output);
  const std::int64_t in_size = element_count(inputs);
  const std::int64_t out_size = element_count(outputs);
  const std::int64_t kernel_size = element_count(sizes_of(geometry.axes, &WindowAxis::kernel));
  const std::int64_t channels = geometry.in_channels / geometry.group;
  const std::int64_t filters = geometry.out_channels / geometry.group;
  std::vector<Number> y(static_cast<std::size_t>(element_count(geometry.output_shape())), Number{0});
  if (y.empty()) return y;
  std::vector<Tap> taps;
  std::vector<Number> patch;
  std::vector<std::int64_t> window(geometry.axes.size(), 0);
  std::int64_t o = 0;
  do {
    taps_inside(geometry.axes, window, inputs, taps);
    for (std::int64_t n = 0; n < geometry.batch; ++n) {
      for (std::int64_t g = 0; g < geometry.group; ++g) {
        patch.clear();
        for (std::int64_t c = 0; c < channels; ++c) {
          const Number* plane = x.data() + (n * geometry.in_channels + g * channels + c) * in_size;
          for (const Tap& tap : taps) patch.push_back(plane[tap.position]);
        }
        for (std::int64_t m = g * filters; m < (g + 1) * filters; ++m) {
          Number sum{0};
          const Number* value = patch.data();
          for (std::int64_t c = 0; c < channels; ++c) {
            const Number* filter = w.data() + (m * channels + c) * kernel_size;
            for (const Tap& tap : taps) sum += *value++ * filter[tap.kernel];
          }
          y[static_cast<std::size_t>((n * geometry.out_channels + m) * out_size + o)] = sum;
        }
      }
    }
    ++o;
  } while (next_index(window, outputs));
  return y;
}

/// Adds bias[m] to every y[n, m, …].
template <class Number>
void add_bias(const ConvGeometry& geometry, std::span<const Number> bias, std::span<Number> y) {
  const auto out_size = static_cast<std::size_t>(element_count(sizes_of(geometry.axes, &WindowAxis::output)));
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias[i / out_size % bias.size()];
}

}  // namespace sparse_run::reference
