// Which constants of a partition lie in the GPU's memory, and which stay in CPU memory.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace sparse_run::gpu::cuda {

/// A constant of a partition.
struct ConstantUse {
  std::size_t bytes = 0;
  int reader = -1;     ///< the only step that reads it; -1: several do
  bool table = false;  ///< only rows of it are gathered
};

enum class Place : unsigned char {
  resident,  ///< on the GPU
  cached,    ///< in CPU memory, rows that were used lately on the GPU
  streamed,  ///< in CPU memory, copied to a buffer for every execution while the steps before it run
};

struct Residency {
  std::vector<Place> places;  ///< parallel to the constants
  std::size_t resident_bytes = 0;
  std::size_t cache_bytes = 0;     ///< for the rows of all tables together
  std::size_t buffer_bytes = 0;    ///< of each of two buffers that streamed constants take turns in
  std::size_t streamed_bytes = 0;  ///< copied per execution
  bool fits = true;                ///< false: not even so do they fit

  std::size_t total_bytes() const { return resident_bytes + cache_bytes + 2 * buffer_bytes; }
};

/// Everything is resident when it fits into `roomy` bytes and no table is larger than a quarter of that. Otherwise
/// tables leave first, the largest ones first, then as few bytes as possible are streamed, spread evenly over the
/// steps, so that copies find steps to hide behind; all of it then takes at most `tight` bytes, which leaves room for
/// other partitions.
Residency plan_residency(std::span<const ConstantUse> constants, std::size_t roomy, std::size_t tight);

}  // namespace sparse_run::gpu::cuda
