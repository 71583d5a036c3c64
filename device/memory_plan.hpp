// Places buffers with known lifetimes into one arena so that those alive together do not overlap.
#pragma once

#include <cstddef>
#include <vector>

namespace sparse_run {

/// A buffer needed from step `first` to step `last`, both included.
struct BufferRequest {
  std::size_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct MemoryPlan {
  std::vector<std::size_t> offsets;  ///< parallel to the requests; multiples of 64
  std::size_t arena_bytes = 0;
};

/// Greedy by size: the largest buffer first, each at the lowest offset free over its whole lifetime.
/// (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020.)
MemoryPlan plan_memory(const std::vector<BufferRequest>& requests);

}  // namespace sparse_run
