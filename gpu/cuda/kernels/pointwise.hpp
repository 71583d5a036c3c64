// Elementwise kernels: functions of one and two operands, choice between two, conversion, and what follows a product.
#pragma once

#include "gpu/cuda/kernels/block.hpp"
#include "gpu/cuda/kernels/scalar_math.hpp"

namespace sparse_run::gpu::cuda {

/// A result's index space with the steps that its operands take in it; 0 along axes over which they are repeated.
template <int kOperands>
struct Broadcasting {
  int rank;
  Index size[kMaxRank];
  Index step[kOperands][kMaxRank];

  SPARSE_RUN_DEVICE void offsets(Index i, Index (&found)[kOperands]) const {
    for (int o = 0; o < kOperands; ++o) found[o] = 0;
    for (int axis = rank - 1; axis >= 0; --axis) {
      const Index at = i % size[axis];
      i /= size[axis];
      for (int o = 0; o < kOperands; ++o) found[o] += at * step[o][axis];
    }
  }
};

/// y[i] = function(x[i]).
struct PointwiseUnary {
  const float* x;
  float* y;
  Index count;
  Unary function;
  float a;
  float b;
};

SPARSE_RUN_DEVICE void pointwise_unary(const PointwiseUnary& p, const Block& block) {
  block.each_item(p.count, [&](Index i) { p.y[i] = apply(p.function, p.x[i], p.a, p.b); });
}

/// y[i] = function(left, right), both repeated as the shapes say.
struct PointwiseBinary {
  const float* left;
  const float* right;
  float* y;
  Index count;
  Binary function;
  Broadcasting<2> shape;
};

SPARSE_RUN_DEVICE void pointwise_binary(const PointwiseBinary& p, const Block& block) {
  block.each_item(p.count, [&](Index i) {
    Index at[2];
    p.shape.offsets(i, at);
    p.y[i] = apply(p.function, p.left[at[0]], p.right[at[1]]);
  });
}

/// y[i] = condition ? left : right.
struct PointwiseChoice {
  const unsigned char* condition;
  const float* left;
  const float* right;
  float* y;
  Index count;
  Broadcasting<3> shape;
};

SPARSE_RUN_DEVICE void pointwise_choice(const PointwiseChoice& p, const Block& block) {
  block.each_item(p.count, [&](Index i) {
    Index at[3];
    p.shape.offsets(i, at);
    p.y[i] = p.condition[at[0]] != 0 ? p.left[at[1]] : p.right[at[2]];
  });
}

/// What follows a product or convolution of results [outer][channels][inner]: activation(y + bias[channel] +
/// residual), in place. Absent operands are nullptr.
struct Epilogue {
  float* y;
  const float* bias;
  const float* residual;
  Index count;
  Index channels;
  Index inner;
  Unary function;
  float a;
  float b;
};

SPARSE_RUN_DEVICE void epilogue(const Epilogue& p, const Block& block) {
  block.each_item(p.count, [&](Index i) {
    float x = p.y[i];
    if (p.bias != nullptr) x += p.bias[i / p.inner % p.channels];
    if (p.residual != nullptr) x += p.residual[i];
    p.y[i] = apply(p.function, x, p.a, p.b);
  });
}

/// Element types that conversions know.
enum class Number : int { f32, i32, i64, u8, boolean };

/// y[i] = x[i] as another type. Floats lose their fraction; anything but zero is true.
struct Conversion {
  const void* x;
  void* y;
  Index count;
  Number from;
  Number to;
};

/// An integer beyond the range of `long long` has no defined conversion; it becomes the nearest there is.
SPARSE_RUN_DEVICE Index whole_number(float x) {
  if (!(x == x)) return 0;
  if (x >= 9.2233715e18f) return 9223372036854775807LL;
  if (x <= -9.2233715e18f) return -9223372036854775807LL - 1;
  return static_cast<Index>(x);
}

SPARSE_RUN_DEVICE void convert(const Conversion& p, const Block& block) {
  block.each_item(p.count, [&](Index i) {
    float real = 0;
    Index whole = 0;
    bool is_real = false;
    switch (p.from) {
      case Number::f32:
        real = static_cast<const float*>(p.x)[i];
        is_real = true;
        break;
      case Number::i32:
        whole = static_cast<const int*>(p.x)[i];
        break;
      case Number::i64:
        whole = static_cast<const Index*>(p.x)[i];
        break;
      case Number::u8:
      case Number::boolean:
        whole = static_cast<const unsigned char*>(p.x)[i];
        break;
    }
    switch (p.to) {
      case Number::f32:
        static_cast<float*>(p.y)[i] = is_real ? real : static_cast<float>(whole);
        break;
      case Number::i32:
        static_cast<int*>(p.y)[i] = static_cast<int>(is_real ? whole_number(real) : whole);
        break;
      case Number::i64:
        static_cast<Index*>(p.y)[i] = is_real ? whole_number(real) : whole;
        break;
      case Number::u8:
        static_cast<unsigned char*>(p.y)[i] = static_cast<unsigned char>(is_real ? whole_number(real) : whole);
        break;
      case Number::boolean:
        static_cast<unsigned char*>(p.y)[i] = (is_real ? real != 0.0f : whole != 0) ? 1 : 0;
        break;
    }
  });
}

}  // namespace sparse_run::gpu::cuda
