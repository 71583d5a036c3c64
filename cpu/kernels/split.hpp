// Cutting a matrix of rows × lanes into tasks for the threads of an arena.
#pragma once

#include <cstdint>

namespace sparse_run::cpu {

/// What a task of a column kernel costs, in units of one vector of one row over all of k.
struct SplitCost {
  std::int64_t tile_lanes = 48;    ///< lanes of a whole tile; the rest of a slice costs more per vector
  std::int64_t vector_lanes = 16;
  std::int64_t row_step = 8;       ///< slices begin at multiples of this
  /// Every task collects its lanes of the operand for itself: as much work as this many rows.
  double collect_rows = 8;
};

struct Split {
  std::int64_t row_slice = 0;   ///< rows per slice; the last may be shorter
  std::int64_t lane_slice = 0;  ///< lanes per slice; the last may be shorter
  std::int64_t row_slices = 0;
  std::int64_t lane_slices = 0;
};

/// The cut of `matrices` equal products (images × groups) whose predicted time on `threads` threads is least, tasks
/// being handed out as threads become free.
Split split_product(std::int64_t matrices, std::int64_t rows, std::int64_t lanes, int threads, const SplitCost& cost);

}  // namespace sparse_run::cpu
