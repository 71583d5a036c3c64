// Aggregation kernels of every instruction set against their definition.
#include "cpu/graph_kernels/aggregate_kernels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "cpu/graph_kernels/adjacency.hpp"

namespace sparse_run::cpu {
namespace {

struct Case {
  std::size_t heads, width, count, stride;
  std::vector<float> x, y, weights;
  std::vector<std::uint32_t> rows;
};

Case make_case(std::mt19937& random, std::size_t heads, std::size_t width, std::size_t count) {
  Case c{heads, width, count, heads * width, {}, {}, {}, {}};
  std::uniform_real_distribution<float> value(-1, 1);
  const std::size_t nodes = 19;
  for (std::size_t i = 0; i < nodes * c.stride; ++i) c.x.push_back(value(random));
  for (std::size_t i = 0; i < c.stride; ++i) c.y.push_back(value(random));
  for (std::size_t i = 0; i < count * heads; ++i) c.weights.push_back(value(random));
  for (std::size_t e = 0; e < count; ++e) c.rows.push_back(static_cast<std::uint32_t>(random() % nodes));
  c.rows.resize(count + kRowsAhead, 0);
  return c;
}

class EveryIsa : public ::testing::TestWithParam<Isa> {
 protected:
  const AggregateKernels& kernels = aggregate_kernels(GetParam());
  unsigned seed = std::random_device{}();
  std::mt19937 random{seed};
};

TEST_P(EveryIsa, sums_and_extremes_of_rows) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (const std::size_t n : {1, 2, 7, 16, 33, 128, 150, 300}) {
    for (const std::size_t count : {0, 1, 5, 40}) {
      for (const bool chosen : {true, false}) {
        const Case c = make_case(random, 1, n, chosen ? count : std::min<std::size_t>(count, 19));
        auto sum = c.y, largest = c.y, smallest = c.y;
        const std::uint32_t* const rows = chosen ? c.rows.data() : nullptr;
        kernels.sum(sum.data(), n, c.x.data(), n, rows, c.count);
        kernels.extreme(true, largest.data(), n, c.x.data(), n, rows, c.count);
        kernels.extreme(false, smallest.data(), n, c.x.data(), n, rows, c.count);
        for (std::size_t i = 0; i < n; ++i) {
          float total = c.y[i], high = c.y[i], low = c.y[i];
          for (std::size_t e = 0; e < c.count; ++e) {
            const float x = c.x[(chosen ? c.rows[e] : e) * n + i];
            total += x;
            high = std::max(high, x);
            low = std::min(low, x);
          }
          ASSERT_NEAR(sum[i], total, 1e-4);
          ASSERT_EQ(largest[i], high);
          ASSERT_EQ(smallest[i], low);
        }
      }
    }
  }
}

TEST_P(EveryIsa, sums_of_several_rows_from_a_first_value) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  const std::vector<std::uint32_t> begin = {2, 2, 9, 10, 10};  // rows of 0, 7, 1 and 0 edges
  for (const std::size_t n : {1, 7, 16, 33, 128, 150, 300}) {
    const Case c = make_case(random, 1, n, 12);
    std::vector<float> y(4 * n, 77.0f);
    kernels.sum_rows(y.data(), n, 0.5f, c.x.data(), n, c.rows.data(), begin.data(), 4);
    for (std::size_t r = 0; r < 4; ++r) {
      for (std::size_t i = 0; i < n; ++i) {
        float total = 0.5f;
        for (std::size_t e = begin[r]; e < begin[r + 1]; ++e) total += c.x[c.rows[e] * n + i];
        ASSERT_NEAR(y[r * n + i], total, 1e-4) << "row " << r << " of " << n;
      }
    }
  }
}

TEST_P(EveryIsa, weighted_sums_by_head) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (const std::size_t heads : {1, 3, 8}) {
    for (const std::size_t width : {1, 5, 8, 64, 131}) {
      const Case c = make_case(random, heads, width, 23);
      auto y = c.y;
      kernels.weighted_sum(y.data(), heads, width, c.x.data(), c.stride, c.rows.data(), c.count, c.weights.data(),
                           heads, 1);
      for (std::size_t i = 0; i < c.stride; ++i) {
        float total = c.y[i];
        for (std::size_t e = 0; e < c.count; ++e)
          total += c.weights[e * heads + i / width] * c.x[c.rows[e] * c.stride + i];
        ASSERT_NEAR(y[i], total, 1e-4);
      }
    }
  }
}

TEST_P(EveryIsa, gathers_rows_of_any_length) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (const std::size_t n : {1, 3, 16, 70}) {
    const Case c = make_case(random, 1, n, 11);
    std::vector<float> y(c.count * n + 1, 42);
    kernels.gather(y.data(), n, c.x.data(), n, c.rows.data(), c.count);
    for (std::size_t i = 0; i < c.count * n; ++i) ASSERT_EQ(y[i], c.x[c.rows[i / n] * n + i % n]);
    EXPECT_EQ(y.back(), 42);
  }
}

TEST_P(EveryIsa, extremes_keep_nan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {1, nan, 3, 4};
  std::vector<float> y = {0, 0, nan, 9};
  kernels.extreme(true, y.data(), 4, x.data(), 4, nullptr, 1);
  EXPECT_EQ(y[0], 1);
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[3], 9);
}

TEST_P(EveryIsa, functions_of_one_operand_at_ordinary_and_extreme_places) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> x = {0, 1, -1, 0.5f, 20, -20, 87, -100, 100, infinity, -infinity, 3, 4, 5, 6, 7, 8, 9, 0.25f};
  x.push_back(std::numeric_limits<float>::quiet_NaN());
  std::vector<float> y(x.size());
  const auto expect = [&](Unary f, auto definition) {
    kernels.unary(f, x.data(), y.data(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float expected = definition(x[i]);
      if (std::isnan(expected) || std::isinf(expected)) {
        EXPECT_TRUE(std::isnan(expected) ? std::isnan(y[i]) : y[i] == expected) << x[i];
      } else {
        EXPECT_NEAR(y[i], expected, 1e-6f * std::max(1.0f, std::abs(expected))) << x[i];
      }
    }
  };
  expect(Unary::exponential, [](float v) { return std::exp(v); });
  expect(Unary::negate, [](float v) { return -v; });
  expect(Unary::absolute, [](float v) { return std::abs(v); });
  expect(Unary::reciprocal, [](float v) { return 1 / v; });
  expect(Unary::root, [](float v) { return std::sqrt(v); });
}

INSTANTIATE_TEST_SUITE_P(AggregateKernels, EveryIsa, ::testing::ValuesIn(runnable_isas()),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });

}  // namespace
}  // namespace sparse_run::cpu
