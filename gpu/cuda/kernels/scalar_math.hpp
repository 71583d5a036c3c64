// Functions of single numbers: shared by compiled kernels, generated kernels and the tests of both.
#pragma once

// NVRTC compiles this file without any header: nothing is included, and GPU functions need no declaration there.
#if !defined(__CUDACC__)
#include <cmath>
#endif
#if defined(__CUDACC__)
#define SPARSE_RUN_SCALAR __device__ inline
#else
#define SPARSE_RUN_SCALAR inline
#endif

namespace sparse_run::gpu::cuda {

/// Functions of one number; those with parameters take a and b.
enum class Unary : int {
  identity,
  relu,
  leaky_relu,  ///< a: slope
  clip,        ///< a, b: bounds; NaN passes
  hard_swish,
  hard_sigmoid,  ///< clip(a x + b, 0, 1)
  sigmoid,
  silu,
  gelu,
  gelu_tanh,
  tanh,
  elu,  ///< a: scale of the negative side
  mish,
  softplus,
  negate,
  absolute,
  square_root,
  exponential,
  logarithm,
  reciprocal,
  floor,
  ceil,
  round,  ///< half to even
  error_function,
  sine,
  cosine,
  sign,
  affine,  ///< a x + b
};

/// Functions of two numbers.
enum class Binary : int { add, subtract, multiply, divide, minimum, maximum, power };

SPARSE_RUN_SCALAR float sigmoid_of(float x) { return 1.0f / (1.0f + expf(-x)); }
SPARSE_RUN_SCALAR float softplus_of(float x) { return x > 30.0f ? x : log1pf(expf(x)); }
/// Comparisons are false for NaN, which therefore passes.
SPARSE_RUN_SCALAR float clip_of(float x, float low, float high) { return x < low ? low : (x > high ? high : x); }

SPARSE_RUN_SCALAR float apply(Unary function, float x, float a, float b) {
  switch (function) {
    case Unary::identity:
      return x;
    case Unary::relu:
      return x < 0.0f ? 0.0f : x;
    case Unary::leaky_relu:
      return x < 0.0f ? a * x : x;
    case Unary::clip:
      return clip_of(x, a, b);
    case Unary::hard_swish:
      return x * clip_of(x / 6.0f + 0.5f, 0.0f, 1.0f);
    case Unary::hard_sigmoid:
      return clip_of(a * x + b, 0.0f, 1.0f);
    case Unary::sigmoid:
      return sigmoid_of(x);
    case Unary::silu:
      return x * sigmoid_of(x);
    case Unary::gelu:
      return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case Unary::gelu_tanh:
      return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case Unary::tanh:
      return tanhf(x);
    case Unary::elu:
      return x < 0.0f ? a * expm1f(x) : x;
    case Unary::mish:
      return x * tanhf(softplus_of(x));
    case Unary::softplus:
      return softplus_of(x);
    case Unary::negate:
      return -x;
    case Unary::absolute:
      return fabsf(x);
    case Unary::square_root:
      return sqrtf(x);
    case Unary::exponential:
      return expf(x);
    case Unary::logarithm:
      return logf(x);
    case Unary::reciprocal:
      return 1.0f / x;
    case Unary::floor:
      return floorf(x);
    case Unary::ceil:
      return ceilf(x);
    case Unary::round:
      return rintf(x);
    case Unary::error_function:
      return erff(x);
    case Unary::sine:
      return sinf(x);
    case Unary::cosine:
      return cosf(x);
    case Unary::sign:
      return x > 0.0f ? 1.0f : (x < 0.0f ? -1.0f : x);
    case Unary::affine:
      return a * x + b;
  }
  return x;
}

SPARSE_RUN_SCALAR float apply(Binary function, float x, float y) {
  switch (function) {
    case Binary::add:
      return x + y;
    case Binary::subtract:
      return x - y;
    case Binary::multiply:
      return x * y;
    case Binary::divide:
      return x / y;
    case Binary::minimum:  // NaN of either side passes
      return x < y || x != x ? x : y;
    case Binary::maximum:
      return x > y || x != x ? x : y;
    case Binary::power:
      return powf(x, y);
  }
  return x;
}

}  // namespace sparse_run::gpu::cuda
