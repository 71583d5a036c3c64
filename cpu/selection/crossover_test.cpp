// The crossover is a share, whatever the shape.
#include "cpu/selection/crossover.hpp"

#include <gtest/gtest.h>

namespace sparse_run::cpu {
namespace {

TEST(Crossover, any_shape_gives_a_share) {
  for (const auto& [rows, k] :
       {std::pair<std::size_t, std::size_t>{0, 0}, {1, 1}, {3, 70}, {64, 576}, {100000, 100000}}) {
    const double share = measured_crossover(rows, k);
    EXPECT_GE(share, 0) << rows << "x" << k;
    EXPECT_LE(share, 1) << rows << "x" << k;
  }
}

}  // namespace
}  // namespace sparse_run::cpu
