// Normalisations down the rows of a matrix, one per lane: templates over a vector type.
#pragma once

#include <cmath>
#include <limits>

#include "cpu/column/activation_impl.hpp"

namespace sparse_run::cpu {

/// Calls body.template operator()<n>(lane, mask) for groups of n vectors of lanes. The mask belongs to the last vector.
template <class V, class Body>
[[gnu::always_inline]] inline void for_each_lane_group(std::size_t lanes, const Body& body) {
  constexpr std::size_t width = V::width;
  std::size_t lane = 0;
  for (; lane + 4 * width <= lanes; lane += 4 * width) body.template operator()<4>(lane, V::lanes(V::width));
  for (; lane + width <= lanes; lane += width) body.template operator()<1>(lane, V::lanes(V::width));
  if (lane < lanes) body.template operator()<1>(lane, V::lanes(static_cast<int>(lanes - lane)));
}

template <class V>
void lane_norm(const float* x, std::size_t x_stride, const float* gamma, const float* beta, float epsilon, float* y,
               std::size_t y_stride, std::size_t rows, std::size_t lanes) {
  using F = typename V::F;
  if (rows == 0) return;
  const float share = 1.0f / static_cast<float>(rows);
  for_each_lane_group<V>(lanes, [&]<int N>(std::size_t lane, typename V::Mask mask) {
    const auto load = [&](std::size_t row, int v) {
      const float* p = x + row * x_stride + lane + static_cast<std::size_t>(v * V::width);
      return N == 1 ? V::load(p, mask) : V::load(p);
    };
    F mean[N], factor[N];
    for (int v = 0; v < N; ++v) mean[v] = factor[v] = V::zero();
    for (std::size_t row = 0; row < rows; ++row) {
      for (int v = 0; v < N; ++v) mean[v] = V::add(mean[v], load(row, v));
    }
    for (int v = 0; v < N; ++v) mean[v] = V::mul(mean[v], V::broadcast(share));
    for (std::size_t row = 0; row < rows; ++row) {
      for (int v = 0; v < N; ++v) {
        const F d = V::sub(load(row, v), mean[v]);
        factor[v] = V::fma(d, d, factor[v]);
      }
    }
    for (int v = 0; v < N; ++v) {
      float variance[V::width];
      V::store(variance, factor[v]);
      for (float& value : variance) value = 1.0f / std::sqrt(value * share + epsilon);
      factor[v] = V::load(variance);
    }
    for (std::size_t row = 0; row < rows; ++row) {
      const F scale = V::broadcast(gamma != nullptr ? gamma[row] : 1.0f);
      const F shift = V::broadcast(beta != nullptr ? beta[row] : 0.0f);
      for (int v = 0; v < N; ++v) {
        const F value = V::fma(V::mul(V::sub(load(row, v), mean[v]), factor[v]), scale, shift);
        float* to = y + row * y_stride + lane + static_cast<std::size_t>(v * V::width);
        if (N == 1) {
          V::store(to, value, mask);
        } else {
          V::store(to, value);
        }
      }
    }
  });
}

/// exp of a difference from the maximum: below the smallest normal number it falls to 0, where the vector exponential
/// is clamped.
template <class V>
[[gnu::always_inline]] inline typename V::F exp_below_zero(typename V::F x) {
  const auto fade = V::add(V::add(x, V::broadcast(87.0f)), V::broadcast(1.0f));
  return V::mul(exp<V>(x), V::min(V::broadcast(1.0f), V::max(V::zero(), fade)));
}

template <class V>
void lane_softmax(float* x, std::size_t x_stride, float scale, const float* mask, std::size_t mask_row_step,
                  std::size_t mask_lane_step, float* inverse, std::size_t rows, std::size_t lanes) {
  using F = typename V::F;
  const F factor = V::broadcast(scale);
  for_each_lane_group<V>(lanes, [&]<int N>(std::size_t lane, typename V::Mask part) {
    const auto place = [&](std::size_t row, int v) {
      return x + row * x_stride + lane + static_cast<std::size_t>(v * V::width);
    };
    const auto load = [&](const float* p) { return N == 1 ? V::load(p, part) : V::load(p); };
    const auto store = [&](float* p, F value) {
      if (N == 1) {
        V::store(p, value, part);
      } else {
        V::store(p, value);
      }
    };
    constexpr float kLowest = -std::numeric_limits<float>::infinity();
    const std::size_t count = lanes - lane < static_cast<std::size_t>(N * V::width) ? lanes - lane : N * V::width;
    F top[N], total[N];
    for (int v = 0; v < N; ++v) top[v] = V::broadcast(kLowest), total[v] = V::zero();
    for (std::size_t row = 0; row < rows; ++row) {
      for (int v = 0; v < N; ++v) {
        F value = V::mul(load(place(row, v)), factor);
        if (mask != nullptr && mask_lane_step == 0) {
          value = V::add(value, V::broadcast(mask[row * mask_row_step]));
        } else if (mask != nullptr) {
          float own[V::width] = {};
          for (std::size_t i = 0; i < V::width && static_cast<std::size_t>(v * V::width) + i < count; ++i) {
            own[i] = mask[row * mask_row_step + (lane + static_cast<std::size_t>(v * V::width) + i) * mask_lane_step];
          }
          value = V::add(value, V::load(own));
        }
        store(place(row, v), value);
        top[v] = V::max(value, top[v]);  // the second where either is NaN: a NaN passes by, and is found below
      }
    }
    for (int v = 0; v < N; ++v) {
      float tops[V::width], totals[V::width];
      V::store(tops, top[v]);
      bool finite = true;
      for (std::size_t i = 0; i < V::width && static_cast<std::size_t>(v * V::width) + i < count; ++i) {
        finite = finite && std::isfinite(tops[i]);
      }
      if (finite) {
        for (std::size_t row = 0; row < rows; ++row) {
          float* at = place(row, v);
          const F value = exp_below_zero<V>(V::sub(load(at), top[v]));
          store(at, value);
          total[v] = V::add(total[v], value);
        }
        V::store(totals, total[v]);
      } else {  // all −∞, or +∞ or NaN among them: the plain formula, whose NaNs are what ONNX says
        for (std::size_t i = 0; i < V::width && static_cast<std::size_t>(v * V::width) + i < count; ++i) {
          totals[i] = 0;
          for (std::size_t row = 0; row < rows; ++row) {
            float& value = place(row, v)[i];
            totals[i] += value = std::exp(value - tops[i]);
          }
        }
      }
      for (std::size_t i = 0; i < V::width && static_cast<std::size_t>(v * V::width) + i < count; ++i) {
        inverse[lane + static_cast<std::size_t>(v * V::width) + i] = 1.0f / totals[i];
      }
    }
  });
}

}  // namespace sparse_run::cpu
