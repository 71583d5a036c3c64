// Which constants stay on the GPU, which rows are cached, and what is streamed.
#include "gpu/cuda/residency.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace sparse_run::gpu::cuda {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::size_t count(const Residency& residency, Place place) {
  return static_cast<std::size_t>(std::count(residency.places.begin(), residency.places.end(), place));
}

TEST(Residency, everything_that_fits_is_resident) {
  const std::vector<ConstantUse> uses{{4 * kMiB, 0, false}, {2 * kMiB, 1, true}, {kMiB, -1, false}};
  const Residency residency = plan_residency(uses, 8 * kMiB, 6 * kMiB);
  EXPECT_TRUE(residency.fits);
  EXPECT_EQ(count(residency, Place::resident), 3u);
  EXPECT_EQ(residency.total_bytes(), 7 * kMiB);
}

TEST(Residency, a_table_of_most_of_the_memory_leaves_it) {
  const std::vector<ConstantUse> uses{{5 * kMiB, 0, true}, {kMiB, 1, false}};
  const Residency residency = plan_residency(uses, 8 * kMiB, 6 * kMiB);
  EXPECT_EQ(residency.places[0], Place::cached);
  EXPECT_EQ(residency.places[1], Place::resident);
  EXPECT_EQ(residency.cache_bytes, 2 * kMiB);  // a quarter of the memory
  EXPECT_EQ(residency.resident_bytes, kMiB);
}

TEST(Residency, tables_leave_before_anything_is_streamed) {
  const std::vector<ConstantUse> uses{{2 * kMiB, 0, true}, {3 * kMiB, 1, false}, {4 * kMiB, 2, false}};
  const Residency residency = plan_residency(uses, 8 * kMiB, 8 * kMiB);
  EXPECT_EQ(residency.places[0], Place::cached);
  EXPECT_EQ(residency.streamed_bytes, 0u);
  EXPECT_LE(residency.total_bytes(), 8 * kMiB);
}

TEST(Residency, only_as_much_as_necessary_is_streamed_and_evenly) {
  std::vector<ConstantUse> uses;
  for (int step = 0; step < 16; ++step) uses.push_back({kMiB, step, false});
  const Residency residency = plan_residency(uses, 12 * kMiB, 10 * kMiB);
  EXPECT_TRUE(residency.fits);
  // Two buffers of 1 MiB and 8 resident constants make 10 MiB.
  EXPECT_EQ(residency.buffer_bytes, kMiB);
  EXPECT_EQ(residency.streamed_bytes, 8 * kMiB);
  EXPECT_EQ(residency.total_bytes(), 10 * kMiB);
  for (std::size_t i = 0; i + 1 < uses.size(); ++i) EXPECT_NE(residency.places[i], residency.places[i + 1]);
}

TEST(Residency, what_several_steps_read_and_what_is_small_stays) {
  const std::vector<ConstantUse> uses{{4 * kMiB, -1, false}, {1000, 0, false}, {kMiB, 1, false},
                                      {kMiB, 2, false},      {kMiB, 3, false}, {kMiB, 4, false}};
  const Residency residency = plan_residency(uses, 7 * kMiB, 7 * kMiB);
  EXPECT_TRUE(residency.fits);
  EXPECT_EQ(residency.places[0], Place::resident);
  EXPECT_EQ(residency.places[1], Place::resident);
  EXPECT_LE(residency.total_bytes(), 7 * kMiB);
}

TEST(Residency, too_little_memory_for_the_buffers_is_told) {
  const std::vector<ConstantUse> uses{{4 * kMiB, 0, false}, {4 * kMiB, 1, false}};
  EXPECT_FALSE(plan_residency(uses, 6 * kMiB, 6 * kMiB).fits);
  EXPECT_FALSE(plan_residency(uses, 0, 0).fits);
  EXPECT_TRUE(plan_residency({}, 0, 0).fits);
}

TEST(Residency, random_plans_keep_within_the_memory_and_count_what_they_place) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::vector<ConstantUse> uses;
    for (int step = 0; step < 30; ++step) {
      uses.push_back({256 * (1 + random() % 8000), random() % 9 == 0 ? -1 : step, random() % 8 == 0});
      if (uses.back().reader < 0) uses.back().table = false;
    }
    const std::size_t roomy = random() % (32 * kMiB);
    const std::size_t tight = roomy / 4 * 3;
    const Residency residency = plan_residency(uses, roomy, tight);
    std::size_t resident = 0;
    std::size_t streamed = 0;
    for (std::size_t i = 0; i < uses.size(); ++i) {
      if (residency.places[i] == Place::resident) resident += uses[i].bytes;
      if (residency.places[i] == Place::streamed) streamed += uses[i].bytes;
      ASSERT_TRUE(residency.places[i] != Place::cached || uses[i].table);
      ASSERT_TRUE(residency.places[i] != Place::streamed || uses[i].reader >= 0);
    }
    ASSERT_EQ(resident, residency.resident_bytes);
    ASSERT_EQ(streamed, residency.streamed_bytes);
    ASSERT_TRUE(!residency.fits || residency.total_bytes() <= roomy);
  }
}

}  // namespace
}  // namespace sparse_run::gpu::cuda
