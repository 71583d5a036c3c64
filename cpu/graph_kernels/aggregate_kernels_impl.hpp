// The aggregation kernels as templates over a vector type.
#pragma once

#include <cstddef>

#include "cpu/column/activation_impl.hpp"
#include "cpu/graph_kernels/aggregate_kernels.hpp"

namespace sparse_run::cpu {

/// Edges whose rows are fetched ahead: rows lie anywhere, so the processor cannot guess the next one.
inline constexpr std::size_t kFetchEdges = 16;
/// Bytes of a row fetched ahead; the rest follows in order, which the processor sees by itself.
inline constexpr std::size_t kFetchBytes = 1024;

[[gnu::always_inline]] inline void fetch_row(const float* row, std::size_t n) {
  const auto* at = reinterpret_cast<const char*>(row);
  const std::size_t bytes = n * sizeof(float) < kFetchBytes ? n * sizeof(float) : kFetchBytes;
  for (std::size_t line = 0; line < bytes; line += 64) __builtin_prefetch(at + line);
}

/// Sums of N vectors of lanes, the last one under a mask; weights are taken when Weighted.
template <class V, int N, bool Masked, bool Weighted, bool Indexed>
[[gnu::always_inline]] inline void sum_vectors(float* y, const float* x, std::size_t stride, const std::uint32_t* rows,
                                               std::size_t count, const float* w, std::size_t w_stride,
                                               typename V::Mask mask, std::size_t fetch) {
  typename V::F sum[N];
  const auto get = [&](const float* p, int i) {
    return Masked && i == N - 1 ? V::load(p + i * V::width, mask) : V::load(p + i * V::width);
  };
  for (int i = 0; i < N; ++i) sum[i] = get(y, i);
  for (std::size_t e = 0; e < count; ++e) {
    const float* row = x + (Indexed ? rows[e] : e) * stride;
    if constexpr (Indexed) fetch_row(x + rows[e + kFetchEdges] * stride, fetch);
    if constexpr (Weighted) {
      const auto weight = V::broadcast(w[e * w_stride]);
      for (int i = 0; i < N; ++i) sum[i] = V::fma(weight, get(row, i), sum[i]);
    } else {
      for (int i = 0; i < N; ++i) sum[i] = V::add(sum[i], get(row, i));
    }
  }
  for (int i = 0; i < N; ++i) {
    if (Masked && i == N - 1) {
      V::store(y + i * V::width, sum[i], mask);
    } else {
      V::store(y + i * V::width, sum[i]);
    }
  }
}

/// Sums over a row of n floats, in passes of as many vectors as registers hold well. The first pass brings the rows
/// into the innermost cache for those after it.
template <class V, bool Weighted, bool Indexed>
[[gnu::always_inline]] inline void sum_row(float* y, std::size_t n, const float* x, std::size_t stride,
                                           const std::uint32_t* rows, std::size_t count, const float* w,
                                           std::size_t w_stride, std::size_t fetch) {
  constexpr std::size_t width = V::width;
  constexpr int kVectors = 8;
  const auto all = V::lanes(V::width);
  std::size_t i = 0;
  for (; i + kVectors * width <= n; i += kVectors * width) {
    sum_vectors<V, kVectors, false, Weighted, Indexed>(y + i, x + i, stride, rows, count, w, w_stride, all,
                                                       i == 0 ? fetch : 0);
  }
  const auto pass = [&]<int N>() {
    if (n - i < N * width) return false;
    sum_vectors<V, N, false, Weighted, Indexed>(y + i, x + i, stride, rows, count, w, w_stride, all,
                                                i == 0 ? fetch : 0);
    i += N * width;
    return true;
  };
  pass.template operator()<4>();
  pass.template operator()<2>();
  pass.template operator()<1>();
  if (i < n) {
    sum_vectors<V, 1, true, Weighted, Indexed>(y + i, x + i, stride, rows, count, w, w_stride,
                                               V::lanes(static_cast<int>(n - i)), i == 0 ? fetch : 0);
  }
}

template <class V>
void aggregate_sum(float* y, std::size_t n, const float* x, std::size_t stride, const std::uint32_t* rows,
                   std::size_t count) {
  if (rows != nullptr) return sum_row<V, false, true>(y, n, x, stride, rows, count, nullptr, 0, n);
  if (n == 1 && stride == 1) {  // one long row of numbers
    for (std::size_t e = 0; e < count; ++e) y[0] += x[e];
    return;
  }
  sum_row<V, false, false>(y, n, x, stride, rows, count, nullptr, 0, 0);
}

/// N vectors of one new row.
template <class V, int N>
[[gnu::always_inline]] inline void new_sum_vectors(float* y, float first, const float* x, std::size_t stride,
                                                   const std::uint32_t* rows, std::size_t count, std::size_t fetch) {
  typename V::F sum[N];
  for (int i = 0; i < N; ++i) sum[i] = V::broadcast(first);
  for (std::size_t e = 0; e < count; ++e) {
    const float* row = x + rows[e] * stride;
    fetch_row(x + rows[e + kFetchEdges] * stride, fetch);
    for (int i = 0; i < N; ++i) sum[i] = V::add(sum[i], V::load(row + i * V::width));
  }
  for (int i = 0; i < N; ++i) V::store(y + i * V::width, sum[i]);
}

/// Sums are kept in registers from the beginning: what is stored first and read again costs more than a cache miss that
/// the edges of the next rows hide. Stores that pass by the caches were slower where the system had just cleared pages.
template <class V>
void aggregate_sum_rows(float* y, std::size_t n, float first, const float* x, std::size_t stride,
                        const std::uint32_t* rows, const std::uint32_t* begin, std::size_t count) {
  constexpr int kVectors = 8;
  constexpr std::size_t width = V::width;
  for (std::size_t r = 0; r < count; ++r, y += n) {
    const std::uint32_t* const own = rows + begin[r];
    const std::size_t edges = begin[r + 1] - begin[r];
    std::size_t i = 0;
    for (; i + kVectors * width <= n; i += kVectors * width)
      new_sum_vectors<V, kVectors>(y + i, first, x + i, stride, own, edges, i == 0 ? n : 0);
    for (; i + width <= n; i += width) new_sum_vectors<V, 1>(y + i, first, x + i, stride, own, edges, i == 0 ? n : 0);
    if (i == n) continue;
    for (std::size_t rest = i; rest < n; ++rest) y[rest] = first;
    sum_vectors<V, 1, true, false, true>(y + i, x + i, stride, own, edges, nullptr, 0,
                                         V::lanes(static_cast<int>(n - i)), i == 0 ? n : 0);
  }
}

template <class V>
void aggregate_weighted_sum(float* y, std::size_t heads, std::size_t width, const float* x, std::size_t stride,
                            const std::uint32_t* rows, std::size_t count, const float* w, std::size_t w_stride,
                            std::size_t w_head) {
  for (std::size_t h = 0; h < heads; ++h) {
    const std::size_t at = h * width;
    if (rows != nullptr) {
      sum_row<V, true, true>(y + at, width, x + at, stride, rows, count, w + h * w_head, w_stride,
                             h == 0 ? heads * width : 0);
    } else {
      sum_row<V, true, false>(y + at, width, x + at, stride, rows, count, w + h * w_head, w_stride, 0);
    }
  }
}

template <class V>
void aggregate_extreme(bool largest, float* y, std::size_t n, const float* x, std::size_t stride,
                       const std::uint32_t* rows, std::size_t count) {
  for (std::size_t e = 0; e < count; ++e) {
    const float* row = x + (rows == nullptr ? e : rows[e]) * stride;
    if (rows != nullptr) fetch_row(x + rows[e + kFetchEdges] * stride, n);
    if (largest) {
      for (std::size_t i = 0; i < n; ++i) y[i] = row[i] > y[i] || row[i] != row[i] ? row[i] : y[i];
    } else {
      for (std::size_t i = 0; i < n; ++i) y[i] = row[i] < y[i] || row[i] != row[i] ? row[i] : y[i];
    }
  }
}

template <class V>
void aggregate_gather(float* y, std::size_t n, const float* x, std::size_t stride, const std::uint32_t* rows,
                      std::size_t count) {
  if (n == 1) {
    for (std::size_t e = 0; e < count; ++e) y[e] = x[rows[e] * stride];
    return;
  }
  for (std::size_t e = 0; e < count; ++e, y += n) {
    const float* row = x + rows[e] * stride;
    fetch_row(x + rows[e + kFetchEdges] * stride, n);
    std::size_t i = 0;
    for (; i + V::width <= n; i += V::width) V::store(y + i, V::load(row + i));
    if (i < n) {
      const auto mask = V::lanes(static_cast<int>(n - i));
      V::store(y + i, V::load(row + i, mask), mask);
    }
  }
}

template <class V>
void aggregate_unary(Unary f, const float* x, float* y, std::size_t n) {
  const auto map = [&](const auto& body) {
    std::size_t i = 0;
    for (; i + V::width <= n; i += V::width) V::store(y + i, body(V::load(x + i)));
    if (i < n) {
      const auto mask = V::lanes(static_cast<int>(n - i));
      V::store(y + i, body(V::load(x + i, mask)), mask);
    }
  };
  using F = typename V::F;
  switch (f) {
    case Unary::negate:
      return map([](F v) { return V::mul(v, V::broadcast(-1.0f)); });
    case Unary::absolute:
      return map([](F v) { return V::abs(v); });
    case Unary::reciprocal:
      return map([](F v) { return V::div(V::broadcast(1.0f), v); });
    case Unary::root:
      for (std::size_t i = 0; i < n; ++i) y[i] = __builtin_sqrtf(x[i]);
      return;
    case Unary::exponential:
      // beyond the polynomial's range: 0, infinity and NaN as they should be
      for (std::size_t begin = 0; begin < n; begin += V::width) {
        const std::size_t end = begin + V::width < n ? begin + V::width : n;
        bool plain = true;
        for (std::size_t i = begin; i < end; ++i) plain &= x[i] > -87.0f && x[i] < 88.0f;
        if (plain && end - begin == V::width) {
          V::store(y + begin, exp<V>(V::load(x + begin)));
        } else if (plain) {
          const auto mask = V::lanes(static_cast<int>(end - begin));
          V::store(y + begin, exp<V>(V::load(x + begin, mask)), mask);
        } else {
          for (std::size_t i = begin; i < end; ++i) y[i] = __builtin_expf(x[i]);
        }
      }
      return;
  }
}

template <class V>
constexpr AggregateKernels make_aggregate_kernels() {
  return {aggregate_sum<V>,     aggregate_sum_rows<V>, aggregate_weighted_sum<V>,
          aggregate_extreme<V>, aggregate_gather<V>,   aggregate_unary<V>};
}

}  // namespace sparse_run::cpu
