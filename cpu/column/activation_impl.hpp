// Vectorised activation functions, templates over a vector type.
#pragma once

#include <cstddef>

#include "cpu/column/epilogue.hpp"
#include "cpu/column/vec.hpp"

namespace sparse_run::cpu {

/// exp(x) to about 1 ulp between -87.3 and 88.3, clamped outside. Range reduction by ln 2 in two parts, then the Taylor
/// polynomial of degree 7 on |r| ≤ ln 2 / 2.
template <class V>
[[gnu::always_inline]] inline typename V::F exp(typename V::F x) {
  x = V::min(V::broadcast(88.3f), V::max(V::broadcast(-87.3f), x));
  const auto n = V::round(V::mul(x, V::broadcast(1.44269504088896341f)));
  auto r = V::fma(n, V::broadcast(-0.693359375f), x);
  r = V::fma(n, V::broadcast(2.12194440e-4f), r);
  auto p = V::broadcast(1.0f / 5040);
  p = V::fma(p, r, V::broadcast(1.0f / 720));
  p = V::fma(p, r, V::broadcast(1.0f / 120));
  p = V::fma(p, r, V::broadcast(1.0f / 24));
  p = V::fma(p, r, V::broadcast(1.0f / 6));
  p = V::fma(p, r, V::broadcast(0.5f));
  p = V::fma(p, r, V::broadcast(1.0f));
  p = V::fma(p, r, V::broadcast(1.0f));
  return V::scale_by_power_of_2(p, n);
}

template <class V>
[[gnu::always_inline]] inline typename V::F sigmoid(typename V::F x) {
  const auto one = V::broadcast(1.0f);
  return V::reciprocal(V::add(one, exp<V>(V::sub(V::zero(), x))));
}

/// tanh(|x|) = (1 - e) / (1 + e) with e = exp(-2|x|).
template <class V>
[[gnu::always_inline]] inline typename V::F tanh(typename V::F x) {
  const auto one = V::broadcast(1.0f);
  const auto e = exp<V>(V::mul(V::broadcast(-2.0f), V::abs(x)));
  return V::copy_sign(V::mul(V::sub(one, e), V::reciprocal(V::add(one, e))), x);
}

/// erf by formula 7.1.26 of Abramowitz and Stegun, absolute error below 1.5e-7.
template <class V>
[[gnu::always_inline]] inline typename V::F erf(typename V::F x) {
  const auto one = V::broadcast(1.0f);
  const auto a = V::min(V::broadcast(10.0f), V::abs(x));  // from 4 on it is 1
  const auto t = V::reciprocal(V::fma(V::broadcast(0.3275911f), a, one));
  auto p = V::broadcast(1.061405429f);
  p = V::fma(p, t, V::broadcast(-1.453152027f));
  p = V::fma(p, t, V::broadcast(1.421413741f));
  p = V::fma(p, t, V::broadcast(-0.284496736f));
  p = V::fma(p, t, V::broadcast(0.254829592f));
  p = V::mul(p, t);
  const auto e = exp<V>(V::sub(V::zero(), V::mul(a, a)));
  return V::copy_sign(V::sub(one, V::mul(p, e)), x);
}

template <class V>
[[gnu::always_inline]] inline typename V::F curve_value(const Activation& activation, typename V::F x) {
  switch (activation.curve) {
    case Curve::clamp:
      return V::min(V::broadcast(activation.high), V::max(V::broadcast(activation.low), x));
    case Curve::leaky_relu:
      return V::fma(V::broadcast(activation.alpha), V::min(V::zero(), x), V::max(V::zero(), x));
    case Curve::hard_swish: {
      const auto gate = V::fma(x, V::broadcast(1.0f / 6), V::broadcast(0.5f));
      return V::mul(x, V::min(V::broadcast(1.0f), V::max(V::zero(), gate)));
    }
    case Curve::sigmoid:
      return sigmoid<V>(x);
    case Curve::silu:
      return V::mul(x, sigmoid<V>(x));
    case Curve::gelu: {
      const auto half = V::mul(V::broadcast(0.5f), x);
      return V::fma(half, erf<V>(V::mul(x, V::broadcast(0.70710678118654752f))), half);
    }
    case Curve::gelu_tanh: {  // 1 + tanh(a) = 2 · sigmoid(2a)
      const auto cubic = V::fma(V::mul(V::broadcast(0.044715f), V::mul(x, x)), x, x);
      return V::mul(x, sigmoid<V>(V::mul(V::broadcast(1.59576912160573071f), cubic)));
    }
    case Curve::tanh:
      return tanh<V>(x);
  }
  return x;
}

/// Applies the activation in place to `rows` rows of `lanes` floats.
template <class V>
[[gnu::noinline]] void activate(const Activation& activation, float* y, std::size_t y_stride, int rows, int lanes) {
  const Activation a = activation;
  for (int row = 0; row < rows; ++row, y += y_stride) {
    int lane = 0;
    for (; lane + V::width <= lanes; lane += V::width) V::store(y + lane, curve_value<V>(a, V::load(y + lane)));
    if (lane < lanes) {
      const auto mask = V::lanes(lanes - lane);
      V::store(y + lane, curve_value<V>(a, V::load(y + lane, mask)), mask);
    }
  }
}

}  // namespace sparse_run::cpu
