// What a column kernel does to its results before they are stored: bias, residual, activation.
#pragma once

#include <cstddef>
#include <limits>

namespace sparse_run::cpu {

/// Functions applied to a finished result. none, relu and clip are one clamp and cost nothing; the others are applied
/// while the results are still in the innermost cache. All propagate NaN.
enum class Curve {
  clamp,       ///< min(high, max(low, x)): none, relu and clip
  leaky_relu,  ///< x < 0 ? alpha x : x
  hard_swish,  ///< x · clamp(x/6 + 1/2, 0, 1)
  sigmoid,     ///< 1 / (1 + exp(-x))
  silu,        ///< x · sigmoid(x)
  gelu,        ///< x/2 · (1 + erf(x/√2))
  gelu_tanh,   ///< x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))
  tanh,
};

/// An activation function with its parameters. Absolute error of the curved ones: below 1e-6 (gelu, silu and
/// hard_swish: 1e-6 · max(1, |x|)).
struct Activation {
  Curve curve = Curve::clamp;
  float low = -std::numeric_limits<float>::infinity();  ///< of clamp
  float high = std::numeric_limits<float>::infinity();  ///< of clamp
  float alpha = 0;                                      ///< of leaky_relu

  static Activation none() noexcept { return {}; }
  static Activation relu() noexcept { return clip(0, std::numeric_limits<float>::infinity()); }
  static Activation clip(float low, float high) noexcept { return {Curve::clamp, low, high, 0}; }
  static Activation leaky_relu(float alpha) noexcept {
    Activation activation;
    activation.curve = Curve::leaky_relu;
    activation.alpha = alpha;
    return activation;
  }
  static Activation of(Curve curve) noexcept {
    Activation activation;
    activation.curve = curve;
    return activation;
  }
};

/// y[row][lane] = activation(bias[row] + residual[row][lane] + result). A view: the caller keeps the arrays alive.
struct Epilogue {
  const float* bias = nullptr;      ///< one per output row, or null for 0
  const float* residual = nullptr;  ///< laid out like y, with its own row stride, or null; may alias y
  std::size_t residual_stride = 0;  ///< floats from one row of `residual` to the next
  Activation activation = {};
};

}  // namespace sparse_run::cpu
