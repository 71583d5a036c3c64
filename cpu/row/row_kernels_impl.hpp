// The row kernels as templates over a vector type.
#pragma once

#include <cmath>
#include <limits>

#include "cpu/column/activation_impl.hpp"
#include "cpu/row/lane_kernels_impl.hpp"
#include "cpu/row/lane_product_impl.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

/// Calls body(offset, mask, full) for each vector of a row; `full` tells that the mask is all lanes.
template <class V, class Body>
[[gnu::always_inline]] inline void for_each_vector(std::size_t n, const Body& body) {
  constexpr std::size_t width = V::width;
  std::size_t i = 0;
  const auto all = V::lanes(V::width);
  for (; i + width <= n; i += width) body(i, all, true);
  if (i < n) body(i, V::lanes(static_cast<int>(n - i)), false);
}

template <class V>
[[gnu::always_inline]] inline typename V::F load_part(const float* p, typename V::Mask mask, bool full) {
  return full ? V::load(p) : V::load(p, mask);
}

template <class V>
[[gnu::always_inline]] inline void store_part(float* p, typename V::F x, typename V::Mask mask, bool full) {
  if (full) {
    V::store(p, x);
  } else {
    V::store(p, x, mask);
  }
}

template <class V>
void row_epilogue(const Activation& activation, const float* bias, const float* residual, std::size_t residual_stride,
                  float* y, std::size_t y_stride, std::size_t rows, std::size_t lanes) {
  const Activation a = activation;
  for (std::size_t row = 0; row < rows; ++row) {
    float* out = y + row * y_stride;
    const float* other = residual == nullptr ? nullptr : residual + row * residual_stride;
    for_each_vector<V>(lanes, [&](std::size_t i, typename V::Mask mask, bool full) {
      auto x = load_part<V>(out + i, mask, full);
      if (bias != nullptr) x = V::add(x, load_part<V>(bias + i, mask, full));
      if (other != nullptr) x = V::add(x, load_part<V>(other + i, mask, full));
      store_part<V>(out + i, curve_value<V>(a, x), mask, full);
    });
  }
}

template <class V>
void row_map(const Activation& activation, const float* x, float* y, std::size_t n) {
  const Activation a = activation;
  for_each_vector<V>(n, [&](std::size_t i, typename V::Mask mask, bool full) {
    store_part<V>(y + i, curve_value<V>(a, load_part<V>(x + i, mask, full)), mask, full);
  });
}

template <class V, class Combine>
[[gnu::always_inline]] inline void row_combine(const float* a, int a_step, const float* b, int b_step, float* y,
                                               std::size_t n, const Combine& combine) {
  if (n == 0) return;
  if (a_step == 0) {
    const auto fixed = V::broadcast(a[0]);
    for_each_vector<V>(n, [&](std::size_t i, typename V::Mask mask, bool full) {
      store_part<V>(y + i, combine(fixed, load_part<V>(b + i * static_cast<std::size_t>(b_step), mask, full)), mask,
                    full);
    });
  } else if (b_step == 0) {
    const auto fixed = V::broadcast(b[0]);
    for_each_vector<V>(n, [&](std::size_t i, typename V::Mask mask, bool full) {
      store_part<V>(y + i, combine(load_part<V>(a + i, mask, full), fixed), mask, full);
    });
  } else {
    for_each_vector<V>(n, [&](std::size_t i, typename V::Mask mask, bool full) {
      store_part<V>(y + i, combine(load_part<V>(a + i, mask, full), load_part<V>(b + i, mask, full)), mask, full);
    });
  }
}

/// Minimum and maximum propagate NaNs, which the vector instructions do not: left to the compiler.
template <class Combine>
[[gnu::always_inline]] inline void plain_combine(const float* a, int a_step, const float* b, int b_step, float* y,
                                                 std::size_t n, const Combine& combine) {
  for (std::size_t i = 0; i < n; ++i) {
    y[i] = combine(a[i * static_cast<std::size_t>(a_step)], b[i * static_cast<std::size_t>(b_step)]);
  }
}

template <class V>
void row_binary(Binary op, const float* a, int a_step, const float* b, int b_step, float* y, std::size_t n) {
  using F = typename V::F;
  if (a_step == 0 && b_step == 0 && n > 1) {  // one result, repeated
    float value = 0;
    row_binary<V>(op, a, 1, b, 1, &value, 1);
    for (std::size_t i = 0; i < n; ++i) y[i] = value;
    return;
  }
  switch (op) {
    case Binary::add:
      return row_combine<V>(a, a_step, b, b_step, y, n, [](F p, F q) { return V::add(p, q); });
    case Binary::sub:
      return row_combine<V>(a, a_step, b, b_step, y, n, [](F p, F q) { return V::sub(p, q); });
    case Binary::mul:
      return row_combine<V>(a, a_step, b, b_step, y, n, [](F p, F q) { return V::mul(p, q); });
    case Binary::div:
      return row_combine<V>(a, a_step, b, b_step, y, n, [](F p, F q) { return V::div(p, q); });
    case Binary::min:
      return plain_combine(a, a_step, b, b_step, y, n, [](float p, float q) { return p < q || p != p ? p : q; });
    case Binary::max:
      return plain_combine(a, a_step, b, b_step, y, n, [](float p, float q) { return p > q || p != p ? p : q; });
  }
}

template <class V, class Combine>
[[gnu::always_inline]] inline float fold_lanes(typename V::F x, const Combine& combine) {
  float lanes[V::width];
  V::store(lanes, x);
  float result = lanes[0];
  for (int i = 1; i < V::width; ++i) result = combine(result, lanes[i]);
  return result;
}

template <class V>
float row_sum(const float* x, std::size_t n) {
  auto total = V::zero();
  for_each_vector<V>(n, [&](std::size_t i, typename V::Mask mask, bool full) {
    total = V::add(total, load_part<V>(x + i, mask, full));
  });
  return V::sum(total);
}

template <class V>
float row_max(const float* x, std::size_t n) {
  constexpr std::size_t width = V::width;
  auto best = V::broadcast(-std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + width <= n; i += width) best = V::max(best, V::load(x + i));
  float result = fold_lanes<V>(best, [](float a, float b) { return a > b ? a : b; });
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

template <class V>
void row_softmax(const float* x, float scale, const float* mask_row, float* y, std::size_t n) {
  const auto factor = V::broadcast(scale);
  for_each_vector<V>(n, [&](std::size_t i, typename V::Mask mask, bool full) {
    auto value = V::mul(load_part<V>(x + i, mask, full), factor);
    if (mask_row != nullptr) value = V::add(value, load_part<V>(mask_row + i, mask, full));
    store_part<V>(y + i, value, mask, full);
  });
  const float top = row_max<V>(y, n);
  if (!(top > -std::numeric_limits<float>::infinity()) || top == std::numeric_limits<float>::infinity()) {
    // NaN, all −∞, or +∞ among them: the plain formula, whose NaNs are what ONNX says
    for (std::size_t i = 0; i < n; ++i) y[i] = std::exp(y[i] - top);
    float total = 0;
    for (std::size_t i = 0; i < n; ++i) total += y[i];
    for (std::size_t i = 0; i < n; ++i) y[i] /= total;
    return;
  }
  const auto shift = V::broadcast(top);
  const auto tiny = V::broadcast(-87.0f);
  auto total = V::zero();
  for_each_vector<V>(n, [&](std::size_t i, typename V::Mask mask, bool full) {
    const auto argument = V::sub(load_part<V>(y + i, mask, full), shift);
    auto value = exp<V>(argument);
    // the vector exponential is clamped near the smallest normal number: below it the true result rounds to 0 in the
    // sum
    value = V::mul(value,
                   V::min(V::broadcast(1.0f), V::max(V::zero(), V::add(V::sub(argument, tiny), V::broadcast(1.0f)))));
    store_part<V>(y + i, value, mask, full);
    total = V::add(total, full ? value : V::load(y + i, mask));
  });
  const auto inverse = V::broadcast(1.0f / V::sum(total));
  for_each_vector<V>(n, [&](std::size_t i, typename V::Mask mask, bool full) {
    store_part<V>(y + i, V::mul(load_part<V>(y + i, mask, full), inverse), mask, full);
  });
}

template <class V>
void row_layer_norm(const float* x, const float* gamma, const float* beta, float epsilon, float* y, std::size_t n) {
  if (n == 0) return;
  const float mean = row_sum<V>(x, n) / static_cast<float>(n);
  const auto centre = V::broadcast(mean);
  auto squares = V::zero();
  for_each_vector<V>(n, [&](std::size_t i, typename V::Mask mask, bool full) {
    const auto d = full ? V::sub(V::load(x + i), centre) : V::sub(V::merge(centre, x + i, mask), centre);
    squares = V::fma(d, d, squares);
  });
  const float variance = V::sum(squares) / static_cast<float>(n);
  const auto factor = V::broadcast(1.0f / std::sqrt(variance + epsilon));
  for_each_vector<V>(n, [&](std::size_t i, typename V::Mask mask, bool full) {
    auto value = V::mul(V::sub(load_part<V>(x + i, mask, full), centre), factor);
    if (gamma != nullptr) value = V::mul(value, load_part<V>(gamma + i, mask, full));
    if (beta != nullptr) value = V::add(value, load_part<V>(beta + i, mask, full));
    store_part<V>(y + i, value, mask, full);
  });
}

/// A loop that compilers turn into vectors; the parameter keeps the copies of different flags apart.
template <class V>
void row_to_bf16(const float* x, std::uint16_t* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    std::uint32_t bits;
    __builtin_memcpy(&bits, x + i, sizeof bits);
    const std::uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, nan = bits >> 16 | 0x40u;
    y[i] = static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
  }
}

template <class V>
constexpr RowKernels make_row_kernels() {
  return {row_epilogue<V>, row_map<V>,      row_binary<V>,  row_softmax<V>, row_layer_norm<V>, lane_norm<V>,
          lane_softmax<V>, lane_product<V>, row_to_bf16<V>, row_sum<V>,     row_max<V>};
}

}  // namespace sparse_run::cpu
