// Dense weights times few vectors, every instruction set against plain loops in double precision.
#include "cpu/column/few_lanes.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "cpu/column/column_test_support.hpp"

namespace sparse_run::cpu {
namespace {

class DenseFewLanesTest : public testing::TestWithParam<Isa> {};

TEST_P(DenseFewLanesTest, random_products_equal_plain_loops) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 150; ++round) {
    const std::size_t rows = uniform(random, 0, 40), k = pick(random, {0, 1, 3, 15, 16, 17, 100, 333});
    const std::size_t lanes = uniform(random, 1, 19), x_stride = k + uniform(random, 0, 4), y_stride = rows + 2;
    const std::vector<float> w = random_floats(random, rows * k), x = random_floats(random, lanes * x_stride);
    const std::vector<float> bias = random_floats(random, rows), start = random_floats(random, lanes * y_stride);
    const bool with_bias = round % 2 == 0, with_residual = round % 3 == 0, curved = round % 5 == 0;
    std::vector<float> y = start;
    const Epilogue epilogue{with_bias ? bias.data() : nullptr, with_residual ? y.data() : nullptr, y_stride,
                            curved ? Activation::of(Curve::sigmoid) : Activation::relu()};
    const DenseFewLanes dense(std::span<const float>(w), rows, k, GetParam());
    const std::size_t middle = uniform(random, 0, rows);
    dense.run(x.data(), x_stride, lanes, y.data(), y_stride, epilogue, 0, middle);
    dense.run(x.data(), x_stride, lanes, y.data(), y_stride, epilogue, middle, rows);
    for (std::size_t l = 0; l < lanes; ++l) {
      for (std::size_t r = 0; r < y_stride; ++r) {
        const float before = start[l * y_stride + r];
        if (r >= rows) {
          ASSERT_EQ(y[l * y_stride + r], before);
          continue;
        }
        double value = (with_bias ? bias[r] : 0.0) + (with_residual ? before : 0.0);
        for (std::size_t i = 0; i < k; ++i) value += double{w[r * k + i]} * x[l * x_stride + i];
        value = curved ? 1 / (1 + std::exp(-value)) : std::max(0.0, value);
        ASSERT_NEAR(y[l * y_stride + r], value, 1e-5 * (1 + std::sqrt(double(k)))) << rows << "x" << k << "x" << lanes;
      }
    }
  }
}

TEST_P(DenseFewLanesTest, owned_and_viewed_weights_give_the_same) {
  const AlignedVector<float> w{1, 2, 3, 4};
  const std::vector<float> x{1, 10};
  std::vector<float> a(2), b(2);
  DenseFewLanes(std::span<const float>(w), 2, 2, GetParam()).run(x.data(), 2, 1, a.data(), 2, {});
  DenseFewLanes owner(w, 2, 2, GetParam());
  const DenseFewLanes moved = std::move(owner);
  moved.run(x.data(), 2, 1, b.data(), 2, {});
  EXPECT_EQ(a, (std::vector<float>{21, 43}));
  EXPECT_EQ(b, a);
}

INSTANTIATE_TEST_SUITE_P(, DenseFewLanesTest, testing::ValuesIn(runnable_isas()), isa_name);

}  // namespace
}  // namespace sparse_run::cpu
