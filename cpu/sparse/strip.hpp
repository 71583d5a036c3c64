// Where a strip of an image lies in the innermost cache so that every tap of a sparse convolution reads it in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "cpu/column/column.hpp"

namespace sparse_run::cpu {

/// Elements (i · stride_height + row - pad_top, j · stride_width + column - pad_left) of an image: those that the taps
/// congruent to (row, column) cover.
struct StripPhase {
  int row = 0, column = 0;
  std::size_t first = 0;   ///< flat place of the first element a block reads, from the block's first lane
  std::size_t length = 0;  ///< elements a block reads
  std::size_t at = 0;      ///< floats from where a channel's share of the panel begins
};

/// A strip holds each element of an image once, not once per tap. Output positions are numbered with `pitch` lanes per
/// output row, of which the last few are no results: the padding to the right of one row is the padding to the left of
/// the next. Then tap t of the window at lane l lies at tap_at[t] + l, whatever l is. Strides are resolved by one phase
/// per remainder. An aligned layout has one phase per column of taps besides, and a pitch that is a multiple of
/// `alignment` lanes: with whole vectors every tap then reads whole cache lines, at three times the room for a 3×3 window.
struct StripLayout {
  static constexpr std::size_t kPhases = 6;

  int pitch = 0;
  std::size_t channel_floats = 0;
  std::vector<StripPhase> phases;     ///< at most kPhases
  std::vector<std::uint32_t> tap_at;  ///< from where a channel's share of the panel begins

  /// For blocks of `lanes` lanes, a multiple of the vector width `width`; nullopt where collecting tap by tap moves
  /// less. `alignment` 0: not aligned. Depends on the window's kernel, strides, dilations, width, out_width and pad_left
  /// alone: strips of any height and place may be run with it.
  static std::optional<StripLayout> of(const Window& window, std::size_t lanes, std::size_t width,
                                       std::size_t alignment = 0);
};

}  // namespace sparse_run::cpu
