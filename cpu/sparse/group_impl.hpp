// Weights of pattern N:M times a few vectors, one row per vector lane: a permutation of the group's activations takes
// the place of a gather. Templates over a vector type.
#pragma once

#include "cpu/column/activation_impl.hpp"
#include "cpu/sparse/group_kernels.hpp"
#include "cpu/sparse/weight_storage_impl.hpp"

namespace sparse_run::cpu {

/// How a vector type picks, for each of its lanes, one of `Of` activations:
///   group(x)            the activations, ready to be picked from
///   places(p)           the places of one entry: Of bits per two lanes from p
///   pick(group, places)
///   bit_of(lane)        where places() expects the bits of a lane
template <class V, int Of>
struct Pick;

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__BMI2__)
template <>
struct Pick<Avx512, 4> {
  SPARSE_RUN_INLINE __m512 group(const float* x) { return _mm512_broadcast_f32x4(_mm_loadu_ps(x)); }
  SPARSE_RUN_INLINE __m512i places(const std::uint8_t* p) {
    std::int32_t all;
    __builtin_memcpy(&all, p, sizeof all);
    const __m512i shift = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return _mm512_srlv_epi32(_mm512_set1_epi32(all), shift);  // bits above the lowest two are not looked at
  }
  SPARSE_RUN_INLINE __m512 pick(__m512 group, __m512i places) { return _mm512_permutevar_ps(group, places); }
  static constexpr int bit_of(int lane) { return 2 * lane; }
};

template <>
struct Pick<Avx512, 8> {
  SPARSE_RUN_INLINE __m512 group(const float* x) { return _mm512_broadcast_f32x8(_mm256_loadu_ps(x)); }
  SPARSE_RUN_INLINE __m512i places(const std::uint8_t* p) {
    long long all;
    __builtin_memcpy(&all, p, sizeof all);
    const __m512i shift = _mm512_set_epi32(28, 28, 24, 24, 20, 20, 16, 16, 12, 12, 8, 8, 4, 4, 0, 0);
    return _mm512_srlv_epi32(_mm512_set1_epi64(all), shift);
  }
  SPARSE_RUN_INLINE __m512 pick(__m512 group, __m512i places) { return _mm512_permutexvar_ps(places, group); }
  static constexpr int bit_of(int lane) { return 32 * (lane % 2) + 4 * (lane / 2); }
};
#endif

#if defined(__AVX2__) && defined(__FMA__)
template <>
struct Pick<Avx2, 4> {
  SPARSE_RUN_INLINE __m256 group(const float* x) { return _mm256_broadcast_ps(reinterpret_cast<const __m128*>(x)); }
  SPARSE_RUN_INLINE __m256i places(const std::uint8_t* p) {
    std::uint16_t all;
    __builtin_memcpy(&all, p, sizeof all);
    return _mm256_srlv_epi32(_mm256_set1_epi32(all), _mm256_set_epi32(14, 12, 10, 8, 6, 4, 2, 0));
  }
  SPARSE_RUN_INLINE __m256 pick(__m256 group, __m256i places) { return _mm256_permutevar_ps(group, places); }
  static constexpr int bit_of(int lane) { return 2 * lane; }
};

template <>
struct Pick<Avx2, 8> {
  SPARSE_RUN_INLINE __m256 group(const float* x) { return _mm256_loadu_ps(x); }
  SPARSE_RUN_INLINE __m256i places(const std::uint8_t* p) {
    std::int32_t all;
    __builtin_memcpy(&all, p, sizeof all);
    return _mm256_srlv_epi32(_mm256_set1_epi32(all), _mm256_set_epi32(28, 24, 20, 16, 12, 8, 4, 0));
  }
  SPARSE_RUN_INLINE __m256 pick(__m256 group, __m256i places) { return _mm256_permutevar8x32_ps(group, places); }
  static constexpr int bit_of(int lane) { return 4 * lane; }
};
#endif

template <int Of>
struct Pick<Portable, Of> {
  static constexpr unsigned kBits = Of / 2;
  SPARSE_RUN_INLINE const float* group(const float* x) { return x; }
  SPARSE_RUN_INLINE unsigned places(const std::uint8_t* p) {
    return Of == 4 ? p[0] : p[0] | static_cast<unsigned>(p[1]) << 8;
  }
  SPARSE_RUN_INLINE Portable::F pick(const float* x, unsigned places) {
    Portable::F picked;
    for (unsigned lane = 0; lane < 4; ++lane) picked[lane] = x[places >> (kBits * lane) & (Of - 1u)];
    return picked;
  }
  static constexpr int bit_of(int lane) { return static_cast<int>(kBits) * lane; }
};

/// One group of columns: adds its entries to `sum`; x[l] points at its activations.
template <class V, int Of, int Lanes, class Weight>
[[gnu::always_inline]] inline void add_group(int kept, const std::uint8_t*& places, const Weight*& weights,
                                             const float* x, std::size_t x_stride, typename V::F (&sum)[Lanes]) {
  using Group = decltype(Pick<V, Of>::group(x));
  Group in[Lanes];
#pragma GCC unroll 4
  for (int l = 0; l < Lanes; ++l) in[l] = Pick<V, Of>::group(x + static_cast<std::size_t>(l) * x_stride);
  for (int entry = 0; entry < kept; ++entry, places += V::width * Of / 16, weights += V::width) {
    const auto at = Pick<V, Of>::places(places);
    const auto weight = StoredWeights<V>::load(weights);
#pragma GCC unroll 4
    for (int l = 0; l < Lanes; ++l) sum[l] = V::fma(weight, Pick<V, Of>::pick(in[l], at), sum[l]);
  }
}

/// One slice of rows for `Lanes` lanes. Two sets of sums take groups in turns: multiply-adds of one depend on each
/// other.
template <class V, int Of, int Lanes, class Weight>
[[gnu::always_inline]] inline void group_slice(const GroupPack& pack, int kept, std::size_t slice,
                                               const Weight* all_weights, const float* x, std::size_t x_stride,
                                               float* y, std::size_t y_stride, const Epilogue& epilogue,
                                               std::size_t first_lane) {
  using F = typename V::F;
  const std::size_t groups = pack.columns / Of, tail = pack.columns % Of;
  const std::size_t entries = (groups + (tail != 0 ? 1 : 0)) * static_cast<std::size_t>(kept);
  const std::uint8_t* places = pack.places + slice * entries * (V::width * Of / 16);
  const Weight* weights = all_weights + slice * entries * V::width;
  F even[Lanes], odd[Lanes];
#pragma GCC unroll 4
  for (int l = 0; l < Lanes; ++l) even[l] = odd[l] = V::zero();
  std::size_t group = 0;
  for (; group + 2 <= groups; group += 2, x += 2 * Of) {
    add_group<V, Of, Lanes>(kept, places, weights, x, x_stride, even);
    add_group<V, Of, Lanes>(kept, places, weights, x + Of, x_stride, odd);
  }
  if (group < groups) {
    add_group<V, Of, Lanes>(kept, places, weights, x, x_stride, even);
    x += Of;
  }
  if (tail != 0) {
    float last[Lanes * Of] = {};
    for (int l = 0; l < Lanes; ++l) {
      for (std::size_t i = 0; i < tail; ++i) {
        last[static_cast<std::size_t>(l) * Of + i] = x[static_cast<std::size_t>(l) * x_stride + i];
      }
    }
    add_group<V, Of, Lanes>(kept, places, weights, last, Of, odd);
  }
  const std::size_t row = slice * V::width;
  const auto mask = V::lanes(static_cast<int>(pack.rows - row < V::width ? pack.rows - row : V::width));
  const Activation activation = epilogue.activation;
#pragma GCC unroll 4
  for (int l = 0; l < Lanes; ++l) {
    const std::size_t lane = first_lane + static_cast<std::size_t>(l);
    F value = V::add(even[l], odd[l]);
    if (epilogue.bias != nullptr) value = V::add(value, V::load(epilogue.bias + row, mask));
    if (epilogue.residual != nullptr) {
      value = V::add(value, V::load(epilogue.residual + lane * epilogue.residual_stride + row, mask));
    }
    V::store(y + lane * y_stride + row, curve_value<V>(activation, value), mask);
  }
}

/// All lanes of a range of slices; the weights of a slice stay in the inner caches from one set of lanes to the next.
template <class V, int Of, class Weight>
[[gnu::noinline]] void group_slices(const GroupPack& pack, const Weight* weights, std::size_t slice_begin,
                                    std::size_t slice_end, const float* x, std::size_t x_stride, std::size_t lanes,
                                    float* y, std::size_t y_stride, const Epilogue& epilogue) {
  const int kept = pack.pattern.kept;
  for (std::size_t slice = slice_begin; slice < slice_end; ++slice) {
    std::size_t lane = 0;
    for (; lane + 4 <= lanes; lane += 4) {
      group_slice<V, Of, 4>(pack, kept, slice, weights, x + lane * x_stride, x_stride, y, y_stride, epilogue, lane);
    }
    if (lane + 2 <= lanes) {
      group_slice<V, Of, 2>(pack, kept, slice, weights, x + lane * x_stride, x_stride, y, y_stride, epilogue, lane);
      lane += 2;
    }
    if (lane < lanes) {
      group_slice<V, Of, 1>(pack, kept, slice, weights, x + lane * x_stride, x_stride, y, y_stride, epilogue, lane);
    }
  }
}

template <class V>
void group_product(const GroupPack& pack, std::size_t slice_begin, std::size_t slice_end, const float* x,
                   std::size_t x_stride, std::size_t lanes, float* y, std::size_t y_stride, const Epilogue& epilogue) {
  const auto all = [&](const auto* weights) {
    if (pack.pattern.of == 4) {
      group_slices<V, 4>(pack, weights, slice_begin, slice_end, x, x_stride, lanes, y, y_stride, epilogue);
    } else {
      group_slices<V, 8>(pack, weights, slice_begin, slice_end, x, x_stride, lanes, y, y_stride, epilogue);
    }
  };
  if (pack.halves != nullptr) {
    all(pack.halves);
  } else {
    all(pack.weights);
  }
}

template <class V>
int group_bit_of(int of, int row) {
  return of == 4 ? Pick<V, 4>::bit_of(row) : Pick<V, 8>::bit_of(row);
}

template <class V>
constexpr GroupKernels make_group_kernels(Isa isa) {
  return {.isa = isa, .width = V::width, .bit_of = group_bit_of<V>, .run = group_product<V>};
}

}  // namespace sparse_run::cpu
