// Activation functions of every instruction set against the C library in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "cpu/column/column_test_support.hpp"
#include "cpu/column/kernels.hpp"

namespace sparse_run::cpu {
namespace {

class ActivationTest : public testing::TestWithParam<Isa> {
 protected:
  /// Compares over a fine grid on [-100, 100] and tiny values.
  void compare(const Activation& activation, double (*exact)(double), double relative_to) {
    std::vector<float> x;
    for (int i = -20000; i <= 20000; ++i) x.push_back(static_cast<float>(i) * 0.005f);
    for (const float tiny : {1e-3f, 1e-6f, 1e-20f, 1e-40f}) x.insert(x.end(), {tiny, -tiny});
    std::vector<float> y = x;
    column_kernels(GetParam()).activate(activation, y.data(), 0, 1, static_cast<int>(y.size()));
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double scale = 1 + relative_to * std::max(0.0, std::abs(double{x[i]}) - 1);
      ASSERT_NEAR(y[i], exact(x[i]), 1e-6 * scale) << "at " << x[i];
    }
  }
};

TEST_P(ActivationTest, sigmoid) {
  compare(
      Activation::of(Curve::sigmoid), [](double x) { return 1 / (1 + std::exp(-x)); }, 0);
}
TEST_P(ActivationTest, tanh) {
  compare(
      Activation::of(Curve::tanh), [](double x) { return std::tanh(x); }, 0);
}
TEST_P(ActivationTest, silu) {
  compare(
      Activation::of(Curve::silu), [](double x) { return x / (1 + std::exp(-x)); }, 1);
}
TEST_P(ActivationTest, gelu) {
  compare(
      Activation::of(Curve::gelu), [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }, 1);
}
TEST_P(ActivationTest, hard_swish) {
  const auto exact = [](double x) { return x * std::min(1.0, std::max(0.0, x / 6 + 0.5)); };
  compare(Activation::of(Curve::hard_swish), exact, 1);
}
TEST_P(ActivationTest, leaky_relu) {
  compare(
      Activation::leaky_relu(0.1f), [](double x) { return x < 0 ? 0.1f * x : x; }, 0);
}
TEST_P(ActivationTest, clip) {
  compare(
      Activation::clip(-1.5f, 6.0f), [](double x) { return std::min(6.0, std::max(-1.5, x)); }, 0);
}

TEST_P(ActivationTest, rows_keep_their_padding) {
  std::vector<float> y(3 * 25, -1.0f);
  column_kernels(GetParam()).activate(Activation::relu(), y.data(), 25, 3, 21);
  for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], i % 25 < 21 ? 0.0f : -1.0f) << i;
}

INSTANTIATE_TEST_SUITE_P(, ActivationTest, testing::ValuesIn(runnable_isas()), isa_name);

}  // namespace
}  // namespace sparse_run::cpu
