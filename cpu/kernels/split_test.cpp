// Cuts cover the product exactly, keep to the row step, and feed every thread when there is enough work.
#include "cpu/kernels/split.hpp"

#include <gtest/gtest.h>

namespace sparse_run::cpu {
namespace {

TEST(split_product, slices_cover_rows_and_lanes) {
  for (const int threads : {1, 2, 3, 16}) {
    for (const std::int64_t rows : {1, 7, 64, 1000, 2048}) {
      for (const std::int64_t lanes : {1, 15, 49, 196, 3136, 12544}) {
        for (const std::int64_t matrices : {1, 16}) {
          const Split split = split_product(matrices, rows, lanes, threads, {});
          EXPECT_EQ(split.row_slice % 8, 0);
          EXPECT_GE(split.row_slice * split.row_slices, rows);
          EXPECT_LT(split.row_slice * (split.row_slices - 1), rows);
          EXPECT_GE(split.lane_slice * split.lane_slices, lanes);
          EXPECT_LT(split.lane_slice * (split.lane_slices - 1), lanes);
        }
      }
    }
  }
}

TEST(split_product, one_thread_gets_one_task) {
  const Split split = split_product(1, 512, 784, 1, {});
  EXPECT_EQ(split.row_slices * split.lane_slices, 1);
}

TEST(split_product, two_threads_get_two_tasks_or_more) {
  for (const std::int64_t lanes : {49, 196, 784, 3136}) {
    const Split split = split_product(1, 512, lanes, 2, {});
    EXPECT_GE(split.row_slices * split.lane_slices, 2) << lanes;
  }
}

}  // namespace
}  // namespace sparse_run::cpu
