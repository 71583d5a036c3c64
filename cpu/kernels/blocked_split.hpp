// Cutting the work of a blocked kernel into tasks for the threads of an arena.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sparse_run::cpu {

/// What there is to cut, for one image.
struct BlockedWork {
  std::int64_t images = 1;
  std::int64_t positions = 0;      ///< rows of the result; columns where the result is a single row
  std::int64_t position_step = 1;  ///< slices are multiples of this
  std::int64_t blocks = 0;         ///< of output channels
  std::int64_t block_step = 1;
  double flops = 0;
  double input_bytes = 0, weight_bytes = 0;
  double private_cache = 1 << 20;  ///< bytes
};

/// Tasks are (block slice, image, position slice), in this order: those that share weights follow one another.
struct BlockedSplit {
  std::int64_t images = 1;
  std::int64_t positions = 0, position_slice = 0, position_slices = 0;
  std::int64_t blocks = 0, block_slice = 0, block_slices = 0;

  std::int64_t tasks() const noexcept { return images * position_slices * block_slices; }
  struct Task {
    std::int64_t image;
    int position_begin, position_end, block_begin, block_end;
  };
  Task task(std::int64_t i) const noexcept {
    const std::int64_t position = i % position_slices * position_slice;
    const std::int64_t block = i / (position_slices * images) * block_slice;
    return {i / position_slices % images, static_cast<int>(position),
            static_cast<int>(std::min(position + position_slice, positions)), static_cast<int>(block),
            static_cast<int>(std::min(block + block_slice, blocks))};
  }
};

/// The cut of least predicted time: every task computes, and reads its part of the input from an outer cache, once per
/// group of blocks where that part exceeds half of the private cache. Weights are read by every task, or, where a slice
/// of them stays in the private cache, once by every thread.
BlockedSplit split_blocked(const BlockedWork& work, int threads);

}  // namespace sparse_run::cpu
