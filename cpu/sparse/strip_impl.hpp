// Collects a strip of an image, phase by phase: templates over a vector type.
#pragma once

#include <algorithm>
#include <climits>
#include <new>

#include "cpu/column/collect_impl.hpp"
#include "cpu/sparse/strip.hpp"

namespace sparse_run::cpu {

/// The rows of memory that the next panel will be collected from.
struct PanelAhead {
  const char* at = nullptr;
  std::ptrdiff_t stride = 0;  // bytes from one row to the next
  std::uint32_t rows = 0;
  std::uint32_t bytes = 0;  // of each row
};

/// Each phase is what a 1×1 window with the convolution's strides sees of the image, `pitch` positions to a row.
template <class V>
class StripCollector {
 public:
  /// For the block whose first lane is `flat`, of the image at x.
  StripCollector(const StripLayout& layout, const Window& window, const float* x, std::size_t flat)
      : layout_(layout), window_(window), x_(x), flat_(flat), taps_(static_cast<std::size_t>(window.taps())) {
    for (std::size_t i = 0; i < layout.phases.size(); ++i) {
      const StripPhase& phase = layout.phases[i];
      Window& seen = windows_[i];
      seen = window;
      seen.images = 1;
      seen.kernel_height = seen.kernel_width = 1;
      seen.out_height = INT_MAX;
      seen.out_width = layout.pitch;
      seen.pad_top -= phase.row;
      seen.pad_left -= phase.column;
      new (collectors_[i]) WindowCollector<V>(seen, x, flat + phase.first, static_cast<int>(phase.length));
    }
  }
  /// The part of the image that collect(k_begin, k_end) reads of each channel, for the block `lanes` results later.
  PanelAhead ahead(std::size_t k_begin, std::size_t k_end, int lanes) const {
    const std::ptrdiff_t row =
        static_cast<std::ptrdiff_t>(flat_) / layout_.pitch + (lanes + window_.out_width - 1) / window_.out_width;
    std::ptrdiff_t begin = row * window_.stride_height - window_.pad_top;
    const std::ptrdiff_t rows =
        static_cast<std::ptrdiff_t>(layout_.phases[0].length) / layout_.pitch * window_.stride_height + 1;
    const std::ptrdiff_t end = std::min<std::ptrdiff_t>(begin + rows, window_.height);
    begin = std::max<std::ptrdiff_t>(begin, window_.first_row);
    if (begin >= end) return {};
    const float* x = x_ + static_cast<std::ptrdiff_t>(k_begin / taps_) * window_.channel_stride +
                     (begin - window_.first_row) * window_.row_stride;
    return {reinterpret_cast<const char*>(x), window_.channel_stride * 4,
            static_cast<std::uint32_t>((k_end - k_begin) / taps_),
            static_cast<std::uint32_t>((end - begin) * window_.row_stride * 4)};
  }
  StripCollector(const StripCollector&) = delete;
  StripCollector& operator=(const StripCollector&) = delete;

  /// The channels of columns [k_begin, k_end) of W, both multiples of the number of taps.
  void collect(std::size_t k_begin, std::size_t k_end, float* panel) const {
    for (std::size_t i = 0; i < layout_.phases.size(); ++i) {
      std::launder(reinterpret_cast<const WindowCollector<V>*>(collectors_[i]))
          ->collect(k_begin / taps_, k_end / taps_, panel + layout_.phases[i].at,
                    static_cast<int>(layout_.channel_floats));
    }
  }

 private:
  const StripLayout& layout_;
  const Window& window_;
  const float* x_;
  std::size_t flat_, taps_;
  Window windows_[StripLayout::kPhases];
  alignas(WindowCollector<V>) std::byte collectors_[StripLayout::kPhases][sizeof(WindowCollector<V>)];
};

}  // namespace sparse_run::cpu
