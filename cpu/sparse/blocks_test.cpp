// The block kernel of every instruction set against plain loops in double precision.
#include "cpu/sparse/blocks.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "cpu/column/column_test_support.hpp"

namespace sparse_run::cpu {
namespace {

class SparseBlocksTest : public testing::TestWithParam<Isa> {};

/// Zeros in groups of four rows; a few elements of kept groups are zero too when `ragged`.
std::vector<float> blocked_weights(std::mt19937& random, std::size_t rows, std::size_t k, double zeros, bool ragged) {
  std::vector<float> w = random_floats(random, rows * k);
  std::uniform_real_distribution<double> chance;
  for (std::size_t row = 0; row < rows; row += 4) {
    for (std::size_t column = 0; column < k; ++column) {
      const bool drop = chance(random) < zeros;
      for (std::size_t r = row; r < std::min(rows, row + 4); ++r) {
        if (drop || (ragged && chance(random) < 0.1)) w[r * k + column] = 0;
      }
    }
  }
  return w;
}

TEST_P(SparseBlocksTest, random_products_equal_plain_loops) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 150; ++round) {
    const std::size_t rows = pick(random, {1, 2, 3, 4, 7, 16, 33, 64, 101}), lanes = uniform(random, 1, 150);
    const std::size_t k = pick(random, {1, 2, 5, 17, 128, 191, 400, 1100});
    const double zeros = std::vector<double>{0, 0.5, 0.9, 0.98, 1}[uniform(random, 0, 4)];
    const std::size_t first = uniform(random, 0, lanes - 1), end = uniform(random, first + 1, lanes);
    const Matrix x = Matrix::random(random, k, lanes, lanes + uniform(random, 0, 20));
    const std::vector<float> dense = blocked_weights(random, rows, k, zeros, round % 3 == 0);
    const auto bias = random_floats(random, rows);
    const bool with_bias = round % 2 == 0, with_residual = round % 3 != 1;
    const int activation = round % 4;  // none, relu, gelu, none
    const std::size_t y_stride = lanes + uniform(random, 0, 9);
    const std::vector<float> start = random_floats(random, rows * y_stride + 1);  // the residual, in place
    std::vector<float> y = start;
    Activation gelu;
    gelu.curve = Curve::gelu;
    const Epilogue epilogue{with_bias ? bias.data() : nullptr, with_residual ? y.data() + first : nullptr, y_stride,
                            activation == 1   ? Activation::relu()
                            : activation == 2 ? gelu
                                              : Activation::none()};
    const SparseBlocks sparse(Csr::from_dense(dense, rows, k), GetParam());
    sparse.run(ColumnInput::rows(x.data(), static_cast<std::ptrdiff_t>(x.stride)), first, end, y.data() + first,
               y_stride, epilogue);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t l = 0; l < y_stride; ++l) {
        const float before = start[r * y_stride + l];
        if (l < first || l >= end) {
          ASSERT_EQ(y[r * y_stride + l], before) << "written beyond the lanes";
          continue;
        }
        double value = (with_bias ? bias[r] : 0) + (with_residual ? before : 0);
        for (std::size_t i = 0; i < k; ++i) value += double{dense[r * k + i]} * x.at(i, l);
        if (activation == 1) value = std::max(0.0, value);
        if (activation == 2) value = 0.5 * value * (1 + std::erf(value / std::sqrt(2.0)));
        ASSERT_NEAR(y[r * y_stride + l], value, 2e-5 * (1 + std::sqrt(double(k))))
            << rows << "x" << k << "x" << lanes << " zeros " << zeros;
      }
    }
  }
}

TEST_P(SparseBlocksTest, a_nan_weight_is_an_entry) {
  std::vector<float> dense(8 * 3);
  dense[2 * 3 + 1] = std::nanf("");
  const SparseBlocks sparse(Csr::from_dense(dense, 8, 3), GetParam());
  const std::vector<float> x(3 * 5, 1.0f);
  std::vector<float> y(8 * 5);
  sparse.run(ColumnInput::rows(x.data(), 5), 0, 5, y.data(), 5, {});
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 5 == 2) << i;
}

TEST(SparseBlocks, fill_tells_blocks_from_scattered_zeros) {
  std::mt19937 random = seeded_random();
  EXPECT_EQ(SparseBlocks::fill(Csr::from_dense(blocked_weights(random, 64, 100, 0.9, false), 64, 100)), 1);
  EXPECT_LT(SparseBlocks::fill(Csr::from_dense(random_floats(random, 6400, 0.9), 64, 100)), 0.5);
  EXPECT_EQ(SparseBlocks::fill(Csr::from_dense(std::vector<float>(400), 4, 100)), 1);
}

INSTANTIATE_TEST_SUITE_P(every_isa, SparseBlocksTest, testing::ValuesIn(runnable_isas()), isa_name);

}  // namespace
}  // namespace sparse_run::cpu
