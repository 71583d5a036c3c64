// Cuts of sparse products leave no thread idle.
#include "cpu/kernels/sparse_split.hpp"

#include <gtest/gtest.h>

namespace sparse_run::cpu {
namespace {

TEST(SplitSparse, one_thread_gets_one_task) {
  const SparseSplit split = split_sparse({1, 256, 13, 4, 25, 256}, 1);
  EXPECT_EQ(split.row_slices, 1);
  EXPECT_EQ(split.lane_slices, 1);
}

TEST(SplitSparse, lanes_are_shared_evenly_even_when_blocks_do_not_divide_them) {
  const SparseSplit split = split_sparse({1, 256, 14, 4, 100, 1024}, 2);
  EXPECT_EQ(split.row_slices, 1);
  EXPECT_EQ(split.lane_slices, 2);
}

TEST(SplitSparse, few_lanes_are_cut_by_rows) {
  const SparseSplit split = split_sparse({1, 512, 1, 4, 400, 600}, 2);
  EXPECT_EQ(split.row_slices, 2);
  EXPECT_EQ(split.lane_slices, 1);
}

TEST(SplitSparse, many_images_are_cut_no_further) {
  const SparseSplit split = split_sparse({16, 256, 13, 4, 100, 1024}, 2);
  EXPECT_EQ(split.row_slices, 1);
  EXPECT_EQ(split.lane_slices, 1);
}

TEST(SplitSparse, an_odd_image_is_shared) {
  const SparseSplit split = split_sparse({1, 64, 196, 4, 57, 160}, 2);
  EXPECT_EQ(split.lane_slices % 2, 0);
  const SparseSplit three = split_sparse({3, 64, 196, 4, 57, 160}, 2);
  EXPECT_GT(three.lane_slices * three.row_slices, 1);
}

TEST(SplitSparse, nothing_to_do_is_one_task) {
  const SparseSplit split = split_sparse({1, 0, 0, 4, 0, 0}, 4);
  EXPECT_EQ(split.row_slices, 1);
  EXPECT_EQ(split.lane_slices, 1);
}

}  // namespace
}  // namespace sparse_run::cpu
