// Every instruction set against plain double-precision loops.
#include "cpu/row/row_kernels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace sparse_run::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_row(std::mt19937& random, std::size_t n) {
  std::normal_distribution<float> normal;
  std::vector<float> row(n);
  for (float& value : row) value = normal(random);
  return row;
}

class RowKernelsTest : public testing::TestWithParam<Isa> {
 protected:
  const RowKernels& kernels = row_kernels(GetParam());
  std::mt19937 random{7};
};

TEST_P(RowKernelsTest, softmax_agrees_at_every_length) {
  for (std::size_t n = 0; n <= 70; ++n) {
    const auto x = random_row(random, n);
    const auto mask = random_row(random, n);
    std::vector<float> y(n + 1, 42.0f);
    kernels.softmax(x.data(), 0.5f, mask.data(), y.data(), n);
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) total += std::exp(0.5 * x[i] + mask[i]);
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], std::exp(0.5 * x[i] + mask[i]) / total, 1e-6) << n;
    EXPECT_EQ(y[n], 42.0f);
  }
}

TEST_P(RowKernelsTest, lane_product_agrees_at_every_size_and_touches_nothing_else) {
  std::uniform_int_distribution<std::size_t> size(1, 40);
  for (int round = 0; round < 60; ++round) {
    const std::size_t rows = size(random) % 15, k = size(random) - 1, lanes = 2 * size(random) + round % 2;
    const bool transposed = round % 3 == 0;
    LaneProduct p;
    p.rows = rows, p.k = k, p.lanes = lanes;
    p.a_row = transposed ? 1 : k + 3;
    p.a_k = transposed ? rows + 2 : 1;
    p.b_k = lanes + 1;
    p.c_row = lanes + 5;
    const auto a = random_row(random, (rows + 3) * (k + 3)), b = random_row(random, (k + 1) * p.b_k),
               factor = random_row(random, lanes);
    std::vector<float> c((rows + 1) * p.c_row, 42.0f);
    p.a = a.data(), p.b = b.data(), p.c = c.data();
    p.factor = round % 2 == 0 ? factor.data() : nullptr;
    kernels.lane_product(p);
    for (std::size_t row = 0; row <= rows; ++row) {
      for (std::size_t lane = 0; lane < p.c_row; ++lane) {
        double expected = 42;
        if (row < rows && lane < lanes) {
          expected = 0;
          for (std::size_t i = 0; i < k; ++i) {
            expected += static_cast<double>(a[row * p.a_row + i * p.a_k]) * b[i * p.b_k + lane];
          }
          if (p.factor != nullptr) expected *= factor[lane];
        }
        ASSERT_NEAR(c[row * p.c_row + lane], expected, 1e-4) << rows << "x" << k << "x" << lanes;
      }
    }
  }
}

TEST_P(RowKernelsTest, to_bf16_rounds_to_the_nearest_and_keeps_nan_and_infinity) {
  const std::vector<float> x{1.0f, 1.00390625f, 1.01171875f, -1.0039064f, kInfinity, -kInfinity,
                             kNan, -0.0f,       3.4e38f,     1e-45f,      0.0f,      2.0f};
  std::vector<std::uint16_t> y(x.size() + 1, 7);
  kernels.to_bf16(x.data(), y.data(), x.size());
  // of two equally near the even one: 1 + 2^-8 falls to 1, 1 + 3 · 2^-8 rises to 1 + 2^-6
  const std::vector<unsigned> expected{0x3f80, 0x3f80, 0x3f82, 0xbf81, 0x7f80, 0xff80};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(y[i], expected[i]) << i;
  EXPECT_EQ(y[6] & 0x7f80u, 0x7f80u);
  EXPECT_NE(y[6] & 0x7fu, 0u);
  EXPECT_EQ(y[7], 0x8000u);
  EXPECT_EQ(y[8], 0x7f80u);  // beyond the largest bf16 by more than half a step
  EXPECT_EQ(y[9], 0u);
  EXPECT_EQ(y[11], 0x4000u);
  EXPECT_EQ(y[12], 7u);
}

TEST_P(RowKernelsTest, softmax_of_masked_elements_is_exactly_zero) {
  std::vector<float> x(37, 1.0f);
  std::vector<float> mask(37, 0.0f);
  mask[3] = mask[30] = -kInfinity;
  std::vector<float> y(37);
  kernels.softmax(x.data(), 1.0f, mask.data(), y.data(), y.size());
  EXPECT_EQ(y[3], 0.0f);
  EXPECT_EQ(y[30], 0.0f);
  EXPECT_NEAR(y[0], 1.0 / 35, 1e-7);
}

TEST_P(RowKernelsTest, softmax_propagates_nan) {
  std::vector<float> x(20, 0.0f);
  x[11] = kNan;
  kernels.softmax(x.data(), 1.0f, nullptr, x.data(), x.size());
  for (const float value : x) EXPECT_TRUE(std::isnan(value));
}

TEST_P(RowKernelsTest, softmax_of_huge_scores_does_not_overflow) {
  std::vector<float> x{1e30f, 1e30f, -1e30f};
  kernels.softmax(x.data(), 1.0f, nullptr, x.data(), x.size());
  EXPECT_EQ(x, (std::vector<float>{0.5f, 0.5f, 0.0f}));
}

TEST_P(RowKernelsTest, layer_norm_agrees_at_every_length) {
  for (std::size_t n = 1; n <= 70; ++n) {
    const auto x = random_row(random, n);
    const auto gamma = random_row(random, n);
    const auto beta = random_row(random, n);
    std::vector<float> y(n + 1, 42.0f);
    kernels.layer_norm(x.data(), gamma.data(), beta.data(), 1e-3f, y.data(), n);
    double mean = 0;
    double variance = 0;
    for (const float value : x) mean += value / static_cast<double>(n);
    for (const float value : x) variance += (value - mean) * (value - mean) / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_NEAR(y[i], (x[i] - mean) / std::sqrt(variance + 1e-3) * gamma[i] + beta[i], 2e-5) << n;
    }
    EXPECT_EQ(y[n], 42.0f);
  }
}

TEST_P(RowKernelsTest, epilogue_adds_bias_and_residual_before_the_activation) {
  for (std::size_t n = 1; n <= 40; ++n) {
    auto y = random_row(random, 3 * n);
    const auto before = y;
    const auto bias = random_row(random, n);
    const auto residual = random_row(random, 3 * n);
    kernels.epilogue(Activation::relu(), bias.data(), residual.data(), n, y.data(), n, 3, n);
    for (std::size_t i = 0; i < y.size(); ++i) {
      EXPECT_FLOAT_EQ(y[i], std::max(0.0f, before[i] + bias[i % n] + residual[i]));
    }
  }
}

TEST_P(RowKernelsTest, binary_operations_broadcast_either_side) {
  const auto check = [&](Binary op, auto plain) {
    for (std::size_t n = 0; n <= 40; ++n) {
      for (const auto& [a_step, b_step] : {std::pair{1, 1}, {0, 1}, {1, 0}, {0, 0}}) {
        const auto a = random_row(random, n + 1);
        const auto b = random_row(random, n + 1);
        std::vector<float> y(n + 1, 42.0f);
        kernels.binary(op, a.data(), a_step, b.data(), b_step, y.data(), n);
        for (std::size_t i = 0; i < n; ++i) {
          EXPECT_FLOAT_EQ(y[i],
                          plain(a[i * static_cast<std::size_t>(a_step)], b[i * static_cast<std::size_t>(b_step)]));
        }
        EXPECT_EQ(y[n], 42.0f);
      }
    }
  };
  check(Binary::add, [](float p, float q) { return p + q; });
  check(Binary::sub, [](float p, float q) { return p - q; });
  check(Binary::mul, [](float p, float q) { return p * q; });
  check(Binary::div, [](float p, float q) { return p / q; });
  check(Binary::min, [](float p, float q) { return std::min(p, q); });
  check(Binary::max, [](float p, float q) { return std::max(p, q); });
}

TEST_P(RowKernelsTest, minimum_and_maximum_propagate_nan_of_either_side) {
  const std::vector<float> a{kNan, 1, kNan};
  const std::vector<float> b{1, kNan, kNan};
  for (const Binary op : {Binary::min, Binary::max}) {
    std::vector<float> y(3);
    kernels.binary(op, a.data(), 1, b.data(), 1, y.data(), 3);
    for (const float value : y) EXPECT_TRUE(std::isnan(value));
  }
}

TEST_P(RowKernelsTest, sum_and_max_agree_at_every_length) {
  EXPECT_EQ(kernels.max(nullptr, 0), -kInfinity);
  for (std::size_t n = 1; n <= 70; ++n) {
    const auto x = random_row(random, n);
    double total = 0;
    for (const float value : x) total += value;
    EXPECT_NEAR(kernels.sum(x.data(), n), total, 1e-4);
    EXPECT_EQ(kernels.max(x.data(), n), *std::max_element(x.begin(), x.end()));
  }
}

TEST_P(RowKernelsTest, normalisation_down_the_lanes_agrees_at_every_number_of_lanes) {
  for (std::size_t lanes = 0; lanes <= 70; ++lanes) {
    const std::size_t rows = 1 + lanes % 9, stride = lanes + 3;
    const auto x = random_row(random, rows * stride), gamma = random_row(random, rows), beta = random_row(random, rows);
    std::vector<float> y(rows * stride, 42.0f);
    kernels.lane_norm(x.data(), stride, gamma.data(), beta.data(), 0.25f, y.data(), stride, rows, lanes);
    for (std::size_t l = 0; l < stride; ++l) {
      double mean = 0, variance = 0;
      for (std::size_t r = 0; r < rows; ++r) mean += x[r * stride + l] / static_cast<double>(rows);
      for (std::size_t r = 0; r < rows; ++r)
        variance += std::pow(x[r * stride + l] - mean, 2) / static_cast<double>(rows);
      for (std::size_t r = 0; r < rows; ++r) {
        const double normal = (x[r * stride + l] - mean) / std::sqrt(variance + 0.25) * gamma[r] + beta[r];
        EXPECT_NEAR(y[r * stride + l], l < lanes ? normal : 42.0, 1e-5) << lanes;
      }
    }
  }
}

TEST_P(RowKernelsTest, softmax_down_the_lanes_agrees_with_masks_per_row_and_per_element) {
  for (std::size_t lanes = 0; lanes <= 70; ++lanes) {
    for (const std::size_t lane_step : {std::size_t{0}, std::size_t{11}}) {
      const std::size_t rows = 11, stride = lanes + 3;
      const auto x = random_row(random, rows * stride);
      auto mask = random_row(random, rows * (lanes + 1));
      mask[4] = -kInfinity;
      std::vector<float> y = x, inverse(lanes + 1, 42.0f);
      kernels.lane_softmax(y.data(), stride, 0.5f, mask.data(), 1, lane_step, inverse.data(), rows, lanes);
      for (std::size_t l = 0; l < lanes; ++l) {
        double total = 0;
        const auto value = [&](std::size_t r) { return std::exp(0.5 * x[r * stride + l] + mask[r + l * lane_step]); };
        for (std::size_t r = 0; r < rows; ++r) total += value(r);
        for (std::size_t r = 0; r < rows; ++r) {
          EXPECT_NEAR(y[r * stride + l] * inverse[l], value(r) / total, 1e-6) << lanes;
        }
      }
      for (std::size_t r = 0; r < rows; ++r) EXPECT_EQ(y[r * stride + lanes], x[r * stride + lanes]);
      EXPECT_EQ(inverse[lanes], 42.0f);
    }
  }
}

TEST_P(RowKernelsTest, softmax_down_a_lane_without_a_finite_maximum_is_nan_there_alone) {
  const std::size_t rows = 5, lanes = 21;
  std::vector<float> x(rows * lanes, 1.0f), inverse(lanes);
  for (std::size_t r = 0; r < rows; ++r) x[r * lanes + 3] = -kInfinity;
  x[2 * lanes + 7] = kInfinity;
  x[2 * lanes + 20] = kNan;
  kernels.lane_softmax(x.data(), lanes, 1.0f, nullptr, 0, 0, inverse.data(), rows, lanes);
  for (std::size_t l = 0; l < lanes; ++l) {
    const float value = x[2 * lanes + l] * inverse[l];
    if (l == 3 || l == 7 || l == 20) {
      EXPECT_TRUE(std::isnan(value)) << l;
    } else {
      EXPECT_NEAR(value, 0.2f, 1e-6) << l;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(every_isa, RowKernelsTest, testing::ValuesIn(runnable_isas()),
                         [](const auto& instance) { return std::string(to_string(instance.param)); });

}  // namespace
}  // namespace sparse_run::cpu
