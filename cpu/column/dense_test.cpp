// The dense column kernel of every instruction set against plain loops in double precision.
#include "cpu/column/dense.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "cpu/column/column_test_support.hpp"

namespace sparse_run::cpu {
namespace {

std::size_t lanes_hint(std::mt19937& random) { return pick(random, {1, 20, 49, 70, DenseColumns::kManyLanes}); }

class DenseColumnsTest : public testing::TestWithParam<Isa> {};

std::vector<double> product(const std::vector<float>& w, std::size_t rows, const Matrix& x) {
  std::vector<double> y(rows * x.lanes);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < x.rows; ++k) {
      for (std::size_t l = 0; l < x.lanes; ++l) y[r * x.lanes + l] += double{w[r * x.rows + k]} * x.at(k, l);
    }
  }
  return y;
}

TEST_P(DenseColumnsTest, random_products_equal_plain_loops) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 120; ++round) {
    const std::size_t rows = round % 40 == 0 ? 1100 : pick(random, {0, 1, 2, 3, 7, 8, 9, 16, 31, 65}),
                      lanes = uniform(random, 1, 100);
    const std::size_t k = pick(random, {0, 1, 2, 5, 17, 64, 191, 193, 400});
    const Matrix x = Matrix::random(random, k, lanes, lanes + uniform(random, 0, 20));
    const auto w = random_floats(random, rows * k), bias = random_floats(random, rows);
    const Matrix residual = Matrix::random(random, rows, lanes, lanes + 3);
    const DenseColumns dense(w, rows, k, lanes_hint(random), GetParam());
    const std::size_t y_stride = lanes + uniform(random, 0, 9);
    std::vector<float> y(rows * y_stride + 1, 77.0f);
    const bool with_bias = round % 2 == 0, with_residual = round % 3 == 0;
    Epilogue epilogue{with_bias ? bias.data() : nullptr, with_residual ? residual.data() : nullptr, residual.stride,
                      round % 4 == 0 ? Activation::relu() : Activation::none()};
    dense.run(ColumnInput::rows(x.data(), static_cast<std::ptrdiff_t>(x.stride)), lanes, y.data(), y_stride, epilogue);

    const std::vector<double> expected = product(w, rows, x);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t l = 0; l < y_stride; ++l) {
        if (l >= lanes) {
          ASSERT_EQ(y[r * y_stride + l], 77.0f) << "written beyond the lanes";
          continue;
        }
        double value = expected[r * lanes + l] + (with_bias ? bias[r] : 0) + (with_residual ? residual.at(r, l) : 0);
        if (round % 4 == 0) value = std::max(0.0, value);
        ASSERT_NEAR(y[r * y_stride + l], value, 1e-5 * (1 + std::sqrt(double(k)))) << rows << "x" << k << "x" << lanes;
      }
    }
    ASSERT_EQ(y.back(), 77.0f);
  }
}

TEST_P(DenseColumnsTest, convolutions_read_through_their_window) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 150; ++round) {
    const WindowCase c = WindowCase::random(random);
    const std::size_t rows = uniform(random, 1, 20), k = c.channels * static_cast<std::size_t>(c.window.taps());
    const auto w = random_floats(random, rows * k);
    const Matrix x = c.panel();
    const std::vector<double> expected = product(w, rows, x);
    std::vector<float> y(rows * x.lanes);
    const DenseColumns dense(w, rows, k, lanes_hint(random), GetParam());
    dense.run(ColumnInput::windowed(c.data.data(), c.window), x.lanes, y.data(), x.lanes, {});
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected[i], 2e-4) << c.describe();
  }
}

TEST_P(DenseColumnsTest, parts_together_make_the_whole) {
  std::mt19937 random = seeded_random();
  WindowCase c = WindowCase::random(random);
  c.window.out_height = c.window.height;
  c.window.out_width = c.window.width;
  const std::size_t rows = 37, k = c.channels * static_cast<std::size_t>(c.window.taps()), lanes = c.window.lanes();
  const auto w = random_floats(random, rows * k);
  const DenseColumns dense(w, rows, k, lanes_hint(random), GetParam());
  const ColumnInput input = ColumnInput::windowed(c.data.data(), c.window);
  std::vector<float> whole(rows * lanes), parts(rows * lanes);
  dense.run(input, lanes, whole.data(), lanes, {});
  const std::size_t middle = lanes / 2, row_middle = 2 * dense.row_step();
  for (const ColumnPart& part : {ColumnPart{0, middle, 0, row_middle}, ColumnPart{0, middle, row_middle, rows},
                                 ColumnPart{middle, lanes, 0, rows}}) {
    dense.run(input, part, parts.data() + part.lane_begin, lanes, {});
  }
  for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(whole[i], parts[i], 1e-4);
}

TEST_P(DenseColumnsTest, no_inputs_give_bias) {
  const std::vector<float> bias{1, 2, 3};
  std::vector<float> y(3 * 5);
  DenseColumns({}, 3, 0, 5, GetParam()).run(ColumnInput::rows(nullptr, 0), 5, y.data(), 5, {.bias = bias.data()});
  EXPECT_EQ(y, (std::vector<float>{1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3}));
}

TEST_P(DenseColumnsTest, nan_passes_through_every_activation) {
  const std::vector<float> w{std::numeric_limits<float>::quiet_NaN()}, x(20, 1.0f);
  for (const Curve curve :
       {Curve::clamp, Curve::leaky_relu, Curve::hard_swish, Curve::sigmoid, Curve::silu, Curve::gelu, Curve::tanh}) {
    std::vector<float> y(20);
    Epilogue epilogue;
    epilogue.activation = curve == Curve::clamp ? Activation::relu() : Activation::of(curve);
    DenseColumns(w, 1, 1, 20, GetParam()).run(ColumnInput::rows(x.data(), 20), 20, y.data(), 20, epilogue);
    for (const float value : y) EXPECT_TRUE(std::isnan(value)) << static_cast<int>(curve);
  }
}

INSTANTIATE_TEST_SUITE_P(, DenseColumnsTest, testing::ValuesIn(runnable_isas()), isa_name);

}  // namespace
}  // namespace sparse_run::cpu
