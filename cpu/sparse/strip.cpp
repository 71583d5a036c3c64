// Lays out a strip of an image for the taps of a window.
#include "cpu/sparse/strip.hpp"

#include <algorithm>

namespace sparse_run::cpu {

namespace {

/// Lanes per output row: as many as hold the results and, shared between rows, the padding on both sides.
std::ptrdiff_t strip_pitch(const Window& w) {
  std::ptrdiff_t pitch = w.out_width;
  for (int tap = 0; tap < w.kernel_width; ++tap) {
    const std::ptrdiff_t phase = std::ptrdiff_t{tap} * w.dilation_width % w.stride_width;
    const std::ptrdiff_t shift = std::ptrdiff_t{tap} * w.dilation_width / w.stride_width;
    const std::ptrdiff_t end = w.out_width + shift;  // columns of the phase that this tap reads
    const std::ptrdiff_t before =
        std::max<std::ptrdiff_t>(0, (w.pad_left - phase + w.stride_width - 1) / w.stride_width);
    const std::ptrdiff_t inside =
        std::max<std::ptrdiff_t>(0, (w.width + w.pad_left - phase + w.stride_width - 1) / w.stride_width);
    pitch = std::max({pitch, std::min(inside, end), end - before});
  }
  return pitch;
}

}  // namespace

std::optional<StripLayout> StripLayout::of(const Window& w, std::size_t lanes, std::size_t width,
                                           std::size_t alignment) {
  if (w.taps() == 1) return std::nullopt;
  StripLayout layout;
  const auto step = static_cast<std::ptrdiff_t>(alignment);
  const std::ptrdiff_t pitch = alignment == 0 ? strip_pitch(w) : (w.out_width + step - 1) / step * step;
  layout.pitch = static_cast<int>(pitch);
  std::vector<std::size_t> last;                // largest place of each phase's taps
  std::vector<std::size_t> phase_of, shift_of;  // by tap
  for (int kh = 0; kh < w.kernel_height; ++kh) {
    for (int kw = 0; kw < w.kernel_width; ++kw) {
      const int row = kh * w.dilation_height, column = kw * w.dilation_width;
      const int across = alignment == 0 ? column / w.stride_width : 0;  // lanes that the tap lies to the right
      const auto shift = static_cast<std::size_t>(row / w.stride_height * pitch + across);
      const int own_row = row % w.stride_height, own_column = column - across * w.stride_width;
      const auto same = std::ranges::find_if(
          layout.phases, [&](const StripPhase& phase) { return phase.row == own_row && phase.column == own_column; });
      const auto number = static_cast<std::size_t>(same - layout.phases.begin());
      if (same == layout.phases.end()) {
        if (number == kPhases) return std::nullopt;
        layout.phases.push_back({own_row, own_column, shift, 0, 0});
        last.push_back(shift);
      } else {
        same->first = std::min(same->first, shift);
        last[number] = std::max(last[number], shift);
      }
      phase_of.push_back(number);
      shift_of.push_back(shift);
    }
  }
  for (std::size_t i = 0; i < layout.phases.size(); ++i) {
    StripPhase& phase = layout.phases[i];
    phase.length = (last[i] - phase.first + lanes + width - 1) / width * width;
    phase.at = layout.channel_floats;
    layout.channel_floats += phase.length;
  }
  if (layout.channel_floats >= static_cast<std::size_t>(w.taps()) * lanes) return std::nullopt;
  for (std::size_t tap = 0; tap < phase_of.size(); ++tap) {
    const StripPhase& phase = layout.phases[phase_of[tap]];
    layout.tap_at.push_back(static_cast<std::uint32_t>(phase.at + shift_of[tap] - phase.first));
  }
  return layout;
}

}  // namespace sparse_run::cpu
