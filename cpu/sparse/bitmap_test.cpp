// Weights with a bit per element times few vectors, every instruction set against plain loops in double precision.
#include "cpu/sparse/bitmap.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cpu/column/column_test_support.hpp"

namespace sparse_run::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void multiply(const SparseBitmap& weights, const std::vector<float>& x, std::size_t x_stride, std::vector<float>& y,
              std::size_t y_stride, const Epilogue& epilogue = {}) {
  AlignedVector<std::byte> workspace(weights.workspace_bytes());
  const BitmapInput input = weights.gather(x.data(), x_stride, workspace.data());
  const std::size_t middle = weights.blocks() / 2;
  weights.run(input, y.data(), y_stride, epilogue, 0, middle);
  weights.run(input, y.data(), y_stride, epilogue, middle, weights.blocks());
}

class SparseBitmapTest : public testing::TestWithParam<Isa> {};

TEST_P(SparseBitmapTest, random_products_equal_plain_loops) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 200; ++round) {
    const std::size_t rows = pick(random, {0, 1, 2, 15, 31, 33, 64, 65, 130, 255, 256, 300});
    const std::size_t k = pick(random, {0, 1, 7, 100, 255, 256, 600, 1100});
    const std::size_t lanes = uniform(random, 1, kBitmapLanes);
    const double zeros = pick(random, {0, 1, 5, 9, 10}) / 10.0, idle = pick(random, {0, 5, 9, 10}) / 10.0;
    const std::size_t x_stride = k + uniform(random, 0, 3), y_stride = rows + 2;
    const std::vector<float> dense = random_floats(random, rows * k, zeros);
    const Csr w = Csr::from_dense(dense, rows, k);
    const std::vector<float> x = random_floats(random, lanes * x_stride, idle), bias = random_floats(random, rows);
    const std::vector<float> start = random_floats(random, lanes * y_stride);
    const bool with_bias = round % 2 == 0, with_residual = round % 3 == 0, curved = round % 5 == 0;
    std::vector<float> y = start;
    std::vector<float> by_columns(rows * k);
    for (std::size_t i = 0; i < dense.size(); ++i) by_columns[i % k * rows + i / k] = dense[i];
    const SparseBitmap bitmap = round % 4 == 0 ? SparseBitmap(w, lanes, GetParam())
                                : round % 4 == 1
                                    ? SparseBitmap({dense.data(), rows, k, k, 1}, w.nnz(), lanes, GetParam())
                                    : SparseBitmap({by_columns.data(), rows, k, 1, rows}, w.nnz(), lanes, GetParam());
    multiply(bitmap, x, x_stride, y, y_stride,
             {with_bias ? bias.data() : nullptr, with_residual ? y.data() : nullptr, y_stride,
              curved ? Activation::of(Curve::tanh) : Activation::relu()});
    for (std::size_t l = 0; l < lanes; ++l) {
      for (std::size_t r = 0; r < y_stride; ++r) {
        const float before = start[l * y_stride + r];
        if (r >= rows) {
          ASSERT_EQ(y[l * y_stride + r], before);
          continue;
        }
        double value = (with_bias ? bias[r] : 0.0) + (with_residual ? before : 0.0);
        for (std::size_t i = w.row_begin[r]; i < w.row_begin[r + 1]; ++i) {
          value += double{w.value[i]} * x[l * x_stride + w.column[i]];
        }
        value = curved ? std::tanh(value) : std::max(0.0, value);
        ASSERT_NEAR(y[l * y_stride + r], value, 1e-5 * (1 + std::sqrt(double(k))))
            << rows << "x" << k << " lanes " << lanes << " zeros " << zeros << " idle " << idle;
      }
    }
  }
}

TEST_P(SparseBitmapTest, infinite_activations_reach_only_the_rows_that_have_an_entry) {
  const Csr w = Csr::from_dense(std::vector<float>{1, 1, 0, 1, 0, 0}, 3, 2);
  for (const std::size_t lanes : {1, 5}) {
    std::vector<float> x, y(3 * lanes);
    for (std::size_t l = 0; l < lanes; ++l) x.insert(x.end(), {kInfinity, 2.0f});
    multiply(SparseBitmap(w, lanes, GetParam()), x, 2, y, 3);
    for (std::size_t l = 0; l < lanes; ++l) {
      EXPECT_EQ(y[3 * l], kInfinity);
      EXPECT_EQ(y[3 * l + 1], 2.0f);
      EXPECT_EQ(y[3 * l + 2], 0.0f);
    }
  }
}

TEST_P(SparseBitmapTest, zero_activations_are_multiplied_where_a_weight_is_not_finite) {
  for (const float unusual : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    const Csr w = Csr::from_dense(std::vector<float>{unusual, 1, 0, 1}, 2, 2);
    const SparseBitmap bitmap(w, 1, GetParam());
    EXPECT_FALSE(bitmap.skips());
    std::vector<float> y(2);
    multiply(bitmap, {0, 2}, 2, y, 2);
    EXPECT_TRUE(std::isnan(y[0])) << unusual << " · 0 is NaN";
    EXPECT_EQ(y[1], 2.0f);
  }
}

TEST_P(SparseBitmapTest, nan_and_negative_zero_activations_are_told_apart) {
  const Csr w = Csr::from_dense(std::vector<float>{1, 1, 1}, 1, 3);
  std::vector<float> y(1);
  const SparseBitmap bitmap(w, 1, GetParam());
  multiply(bitmap, {-0.0f, 3, 0}, 3, y, 1);
  EXPECT_EQ(y[0], 3.0f);
  multiply(bitmap, {0, 3, std::numeric_limits<float>::quiet_NaN()}, 3, y, 1);
  EXPECT_TRUE(std::isnan(y[0]));
}

INSTANTIATE_TEST_SUITE_P(, SparseBitmapTest, testing::ValuesIn(runnable_isas()), isa_name);

}  // namespace
}  // namespace sparse_run::cpu
