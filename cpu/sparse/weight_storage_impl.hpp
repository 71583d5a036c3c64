// Loading weights in either storage, as vectors and broadcast in pairs: overloads for the vector types.
#pragma once

#include "cpu/column/vec.hpp"
#include "cpu/sparse/weight_storage.hpp"

namespace sparse_run::cpu {

template <class V>
struct StoredWeights;

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__BMI2__)
template <>
struct StoredWeights<Avx512> {
  SPARSE_RUN_INLINE __m512 load(const float* p) { return Avx512::load(p); }
  SPARSE_RUN_INLINE __m512 load(const std::uint16_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
  /// Two bf16 weights, each in all lanes: one load.
  SPARSE_RUN_INLINE void broadcast_pair(const std::uint16_t* p, __m512& first, __m512& second) {
    std::int32_t both;
    __builtin_memcpy(&both, p, sizeof both);
    const __m512i all = _mm512_set1_epi32(both);
    first = _mm512_castsi512_ps(_mm512_slli_epi32(all, 16));
    second = _mm512_castsi512_ps(_mm512_and_si512(all, _mm512_set1_epi32(-0x10000)));
  }
};
#endif

#if defined(__AVX2__) && defined(__FMA__)
template <>
struct StoredWeights<Avx2> {
  SPARSE_RUN_INLINE __m256 load(const float* p) { return Avx2::load(p); }
  SPARSE_RUN_INLINE __m256 load(const std::uint16_t* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  SPARSE_RUN_INLINE void broadcast_pair(const std::uint16_t* p, __m256& first, __m256& second) {
    std::int32_t both;
    __builtin_memcpy(&both, p, sizeof both);
    const __m256i all = _mm256_set1_epi32(both);
    first = _mm256_castsi256_ps(_mm256_slli_epi32(all, 16));
    second = _mm256_castsi256_ps(_mm256_and_si256(all, _mm256_set1_epi32(-0x10000)));
  }
};
#endif

template <>
struct StoredWeights<Portable> {
  SPARSE_RUN_INLINE Portable::F load(const float* p) { return Portable::load(p); }
  SPARSE_RUN_INLINE Portable::F load(const std::uint16_t* p) {
    return Portable::F{from_bf16(p[0]), from_bf16(p[1]), from_bf16(p[2]), from_bf16(p[3])};
  }
  SPARSE_RUN_INLINE void broadcast_pair(const std::uint16_t* p, Portable::F& first, Portable::F& second) {
    first = Portable::broadcast(from_bf16(p[0]));
    second = Portable::broadcast(from_bf16(p[1]));
  }
};

}  // namespace sparse_run::cpu
