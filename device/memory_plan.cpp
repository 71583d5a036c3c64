// Greedy-by-size placement.
#include "device/memory_plan.hpp"

#include <algorithm>
#include <numeric>

namespace sparse_run {

MemoryPlan plan_memory(const std::vector<BufferRequest>& requests) {
  constexpr std::size_t kAlignment = 64;
  MemoryPlan plan;
  plan.offsets.resize(requests.size());
  std::vector<std::size_t> order(requests.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return requests[a].bytes > requests[b].bytes; });
  std::vector<std::size_t> placed;  // by ascending offset
  for (const std::size_t index : order) {
    const BufferRequest& request = requests[index];
    const std::size_t bytes = (request.bytes + kAlignment - 1) / kAlignment * kAlignment;
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      const BufferRequest& neighbour = requests[other];
      if (neighbour.last < request.first || request.last < neighbour.first) continue;
      if (plan.offsets[other] >= offset + bytes) break;
      const std::size_t end = plan.offsets[other] + (neighbour.bytes + kAlignment - 1) / kAlignment * kAlignment;
      offset = std::max(offset, end);
    }
    plan.offsets[index] = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), index,
                                   [&](std::size_t a, std::size_t b) { return plan.offsets[a] < plan.offsets[b]; }),
                  index);
  }
  return plan;
}

}  // namespace sparse_run
