// Depthwise convolution of every instruction set against plain loops in double precision.
#include "cpu/column/depthwise.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "cpu/column/column_test_support.hpp"

namespace sparse_run::cpu {
namespace {

class DepthwiseTest : public testing::TestWithParam<Isa> {
 protected:
  /// Runs the case in two parts of rows and compares every output.
  void check(std::mt19937& random, const WindowCase& c, bool with_residual, const Activation& activation) {
    const Window& window = c.window;
    const auto taps = static_cast<std::size_t>(window.taps());
    const std::size_t plane = static_cast<std::size_t>(window.out_height) * static_cast<std::size_t>(window.out_width);
    const auto images = static_cast<std::size_t>(window.images);
    const std::vector<float> weights = random_floats(random, c.channels * taps);
    const std::vector<float> bias = random_floats(random, c.channels);
    const std::vector<float> residual = random_floats(random, c.channels * images * plane);
    std::vector<float> y = residual;
    const Epilogue epilogue{bias.data(), with_residual ? y.data() : nullptr, 0, activation};
    const DepthwiseResult result{y.data(), static_cast<std::ptrdiff_t>(plane * images),
                                 static_cast<std::ptrdiff_t>(plane)};
    const int middle = static_cast<int>(uniform(random, 0, static_cast<std::size_t>(window.out_height)));
    run_depthwise({window, c.data.data(), weights.data(), result, epilogue, 0, c.channels, 0, middle}, GetParam());
    run_depthwise({window, c.data.data(), weights.data(), result, epilogue, 0, c.channels, middle, window.out_height},
                  GetParam());
    const Matrix panel = c.panel();
    for (std::size_t channel = 0; channel < c.channels; ++channel) {
      for (std::size_t lane = 0; lane < panel.lanes; ++lane) {
        double value = bias[channel];
        for (std::size_t t = 0; t < taps; ++t) {
          value += weights[channel * taps + t] * panel.at(channel * taps + t, lane);
        }
        const std::size_t at = channel * panel.lanes + lane;
        if (with_residual) value += residual[at];
        if (activation.curve == Curve::tanh) value = std::tanh(value);
        if (activation.high == 6) value = std::min(6.0, std::max(0.0, value));
        ASSERT_NEAR(y[at], value, 2e-5) << c.describe() << " channel " << channel << " lane " << lane;
      }
    }
  }
};

TEST_P(DepthwiseTest, any_window_equals_plain_loops) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 150; ++round) {
    check(random, WindowCase::random(random), round % 2 == 0,
          round % 3 == 0 ? Activation::clip(0, 6) : Activation::none());
  }
}

TEST_P(DepthwiseTest, square_kernels_equal_plain_loops) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 200; ++round) {
    WindowCase c = WindowCase::random(random);
    Window& w = c.window;
    w.kernel_height = w.kernel_width = round % 2 == 0 ? 3 : 5;
    w.stride_height = w.stride_width = static_cast<int>(uniform(random, 1, 2));
    w.dilation_height = w.dilation_width = 1;
    w.out_height = static_cast<int>(uniform(random, 1, 18));
    check(random, c, round % 5 == 0, round % 7 == 0 ? Activation::of(Curve::tanh) : Activation::none());
  }
}

INSTANTIATE_TEST_SUITE_P(, DepthwiseTest, testing::ValuesIn(runnable_isas()), isa_name);

}  // namespace
}  // namespace sparse_run::cpu
