// Collects a strip of an image, phase by phase: templates over a vector type.
#pragma once

#include <climits>
#include <new>

#include "cpu/column/collect_impl.hpp"
#include "cpu/sparse/strip.hpp"

namespace sparse_run::cpu {

/// Each phase is what a 1×1 window with the convolution's strides sees of the image, `pitch` positions to a row.
template <class V>
class StripCollector {
 public:
  /// For the block whose first lane is `flat`, of the image at x.
  StripCollector(const StripLayout& layout, const Window& window, const float* x, std::size_t flat)
      : layout_(layout), taps_(static_cast<std::size_t>(window.taps())) {
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
  std::size_t taps_;
  Window windows_[StripLayout::kPhases];
  alignas(WindowCollector<V>) std::byte collectors_[StripLayout::kPhases][sizeof(WindowCollector<V>)];
};

}  // namespace sparse_run::cpu
