// Buffers alive together never overlap; memory is reused otherwise.
#include "device/memory_plan.hpp"

#include <gtest/gtest.h>

#include <random>

namespace sparse_run {
namespace {

TEST(memory_plan, chain_needs_two_buffers) {
  std::vector<BufferRequest> chain;
  for (int i = 0; i < 10; ++i) chain.push_back({640, i, i + 1});
  EXPECT_EQ(plan_memory(chain).arena_bytes, 1280u);
}

TEST(memory_plan, empty_and_zero_sized_requests_take_nothing) {
  EXPECT_EQ(plan_memory({}).arena_bytes, 0u);
  EXPECT_EQ(plan_memory({{0, 0, 3}, {0, 1, 2}}).arena_bytes, 0u);
}

TEST(memory_plan, buffers_alive_together_do_not_overlap) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::vector<BufferRequest> requests;
  for (int i = 0; i < 300; ++i) {
    const int first = static_cast<int>(random() % 100);
    requests.push_back({random() % 5000, first, first + static_cast<int>(random() % 20)});
  }
  const MemoryPlan plan = plan_memory(requests);
  for (std::size_t a = 0; a < requests.size(); ++a) {
    EXPECT_EQ(plan.offsets[a] % 64, 0u);
    EXPECT_LE(plan.offsets[a] + requests[a].bytes, plan.arena_bytes);
    for (std::size_t b = 0; b < a; ++b) {
      const bool together = requests[a].first <= requests[b].last && requests[b].first <= requests[a].last;
      const bool overlap = plan.offsets[a] < plan.offsets[b] + requests[b].bytes &&
                           plan.offsets[b] < plan.offsets[a] + requests[a].bytes;
      EXPECT_FALSE(together && overlap) << a << " and " << b;
    }
  }
}

}  // namespace
}  // namespace sparse_run
