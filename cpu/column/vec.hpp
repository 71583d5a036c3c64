// One small vector interface over AVX-512, AVX2 and the compiler's own vectors: kernels are templates over these types.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

// A vector type V offers:
//   F, Mask, width            a register of `width` floats, a lane mask
//   lanes(n)                  mask of the first n lanes, 0 ≤ n ≤ width
//   lanes(begin, end)         mask of lanes [begin, end)
//   lanes_of(bits)            mask of the lanes whose bit is set
//   expand_load(p, m)         lanes of m get consecutive floats from p, the others 0
//   compress_store(p, x, m)   lanes of m to consecutive floats at p; neither touches more than m has lanes
//   load/store, load(p, m)/store(p, x, m)   unaligned; masked forms touch no memory outside the mask, load gives 0
//   there merge(x, p, m)            x with the lanes of m loaded from p merge_stride2(x, p, m)    x with lane l of m
//   loaded from p[2 l] min(a, x), max(a, x)      x where either is NaN
//   max_or_nan(a, x)          NaN where either is NaN
//   reciprocal(x)             1 / x to about 1 ulp, for finite |x| ≥ 1
// plus arithmetic. A dense tile has kTileRows × kTileVectors sums; the set has kRegisters vector registers.
// Everything is static and always inlined: translation units with different flags share no symbol.

#define SPARSE_RUN_INLINE [[gnu::always_inline]] static inline

namespace sparse_run::cpu {

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__BMI2__)
struct Avx512 {
  using F = __m512;
  using Mask = __mmask16;
  static constexpr int width = 16;
  static constexpr int kTileRows = 8;
  static constexpr int kTileVectors = 3;
  static constexpr int kRegisters = 32;

  SPARSE_RUN_INLINE Mask lanes(int n) { return static_cast<Mask>((1u << n) - 1u); }
  SPARSE_RUN_INLINE Mask lanes(int begin, int end) { return static_cast<Mask>((1u << end) - (1u << begin)); }
  SPARSE_RUN_INLINE Mask lanes_of(unsigned bits) { return static_cast<Mask>(bits); }
  SPARSE_RUN_INLINE F zero() { return _mm512_setzero_ps(); }
  SPARSE_RUN_INLINE F broadcast(float x) { return _mm512_set1_ps(x); }
  SPARSE_RUN_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
  SPARSE_RUN_INLINE F load(const float* p, Mask m) { return _mm512_maskz_loadu_ps(m, p); }
  SPARSE_RUN_INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  SPARSE_RUN_INLINE void store(float* p, F x, Mask m) { _mm512_mask_storeu_ps(p, m, x); }
  SPARSE_RUN_INLINE F merge(F x, const float* p, Mask m) { return _mm512_mask_loadu_ps(x, m, p); }
  SPARSE_RUN_INLINE F expand_load(const float* p, Mask m) { return _mm512_maskz_expandloadu_ps(m, p); }
  SPARSE_RUN_INLINE void compress_store(float* p, F x, Mask m) {  // the form that stores by itself is far slower
    store(p, _mm512_maskz_compress_ps(m, x), lanes(__builtin_popcount(m)));
  }
  SPARSE_RUN_INLINE F load_stride2(const float* p) {
    const __m512i places = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 14, 12, 10, 8, 6, 4, 2, 0);
    return _mm512_permutex2var_ps(_mm512_loadu_ps(p), places, _mm512_loadu_ps(p + 15));
  }
  SPARSE_RUN_INLINE __m512i places(const std::uint16_t* at) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
  SPARSE_RUN_INLINE F gather(const float* p, const std::uint16_t* at) { return _mm512_i32gather_ps(places(at), p, 4); }
  SPARSE_RUN_INLINE F gather(const float* p, const std::uint16_t* at, Mask m) {
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), m, places(at), p, 4);
  }
  SPARSE_RUN_INLINE void transpose(F (&block)[16]) {
    F pairs[16], quads[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      pairs[i] = _mm512_unpacklo_ps(block[i], block[i + 1]);
      pairs[i + 1] = _mm512_unpackhi_ps(block[i], block[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        const __m512d a = _mm512_castps_pd(pairs[i + j]), b = _mm512_castps_pd(pairs[i + 2 + j]);
        quads[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        quads[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
      }
    }
    // quads[4 i + c] holds, in 128-bit lane l, column 4 l + c of rows 4 i … 4 i + 3.
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      const F a = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0x88),
              b = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0x88);
      const F d = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0xdd),
              e = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0xdd);
      block[c] = _mm512_shuffle_f32x4(a, b, 0x88);
      block[8 + c] = _mm512_shuffle_f32x4(a, b, 0xdd);
      block[4 + c] = _mm512_shuffle_f32x4(d, e, 0x88);
      block[12 + c] = _mm512_shuffle_f32x4(d, e, 0xdd);
    }
  }
  SPARSE_RUN_INLINE F merge_stride2(F x, const float* p, Mask m) {
    const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512 low = _mm512_maskz_loadu_ps(static_cast<Mask>(_pdep_u32(m & 0xffu, 0x5555u)), p);
    const __m512 high = _mm512_maskz_loadu_ps(static_cast<Mask>(_pdep_u32(m >> 8, 0x5555u)), p + 16);
    return _mm512_mask_mov_ps(x, m, _mm512_permutex2var_ps(low, even, high));
  }
  SPARSE_RUN_INLINE void keep(F& x) { __asm__("" : "+v"(x)); }
  SPARSE_RUN_INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
  SPARSE_RUN_INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  SPARSE_RUN_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  SPARSE_RUN_INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
  SPARSE_RUN_INLINE F reciprocal(F x) {  // a division of this width takes as long as eight multiplications
    const F guess = _mm512_rcp14_ps(x);
    return _mm512_fmadd_ps(guess, _mm512_fnmadd_ps(x, guess, _mm512_set1_ps(1.0f)), guess);
  }
  SPARSE_RUN_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  SPARSE_RUN_INLINE F min(F a, F x) { return _mm512_min_ps(a, x); }
  SPARSE_RUN_INLINE F max(F a, F x) { return _mm512_max_ps(a, x); }
  SPARSE_RUN_INLINE F max_or_nan(F a, F x) {
    return _mm512_mask_mov_ps(_mm512_max_ps(a, x), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a);
  }
  SPARSE_RUN_INLINE F abs(F x) { return _mm512_abs_ps(x); }
  SPARSE_RUN_INLINE F copy_sign(F magnitude, F sign) {
    return _mm512_or_ps(magnitude, _mm512_and_ps(sign, _mm512_set1_ps(-0.0f)));
  }
  SPARSE_RUN_INLINE F round(F x) { return _mm512_roundscale_ps(x, 8); }
  SPARSE_RUN_INLINE F scale_by_power_of_2(F x, F n) { return _mm512_scalef_ps(x, n); }
  SPARSE_RUN_INLINE float sum(F x) { return _mm512_reduce_add_ps(x); }
};
#endif

#if defined(__AVX2__) && defined(__FMA__)
struct Avx2 {
  using F = __m256;
  using Mask = __m256i;
  static constexpr int width = 8;
  static constexpr int kTileRows = 4;
  static constexpr int kTileVectors = 3;
  static constexpr int kRegisters = 16;

  SPARSE_RUN_INLINE __m256i lane_numbers() { return _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0); }
  SPARSE_RUN_INLINE Mask lanes(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane_numbers()); }
  SPARSE_RUN_INLINE Mask lanes(int begin, int end) { return _mm256_andnot_si256(lanes(begin), lanes(end)); }
  SPARSE_RUN_INLINE Mask lanes_of(unsigned bits) {
    const __m256i bit = _mm256_set_epi32(128, 64, 32, 16, 8, 4, 2, 1);
    return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), bit), bit);
  }
  SPARSE_RUN_INLINE F zero() { return _mm256_setzero_ps(); }
  SPARSE_RUN_INLINE F broadcast(float x) { return _mm256_set1_ps(x); }
  SPARSE_RUN_INLINE F load(const float* p) { return _mm256_loadu_ps(p); }
  SPARSE_RUN_INLINE F load(const float* p, Mask m) { return _mm256_maskload_ps(p, m); }
  SPARSE_RUN_INLINE void store(float* p, F x) { _mm256_storeu_ps(p, x); }
  SPARSE_RUN_INLINE void store(float* p, F x, Mask m) { _mm256_maskstore_ps(p, m, x); }
  SPARSE_RUN_INLINE F merge(F x, const float* p, Mask m) {
    return _mm256_blendv_ps(x, _mm256_maskload_ps(p, m), _mm256_castsi256_ps(m));
  }
  SPARSE_RUN_INLINE unsigned bits(Mask m) { return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(m))); }
  SPARSE_RUN_INLINE F expand_load(const float* p, Mask m) {
    alignas(32) float value[8] = {};
    for (unsigned left = bits(m); left != 0; left &= left - 1) value[__builtin_ctz(left)] = *p++;
    return _mm256_load_ps(value);
  }
  SPARSE_RUN_INLINE void compress_store(float* p, F x, Mask m) {
    alignas(32) float value[8];
    _mm256_store_ps(value, x);
    for (unsigned left = bits(m); left != 0; left &= left - 1) *p++ = value[__builtin_ctz(left)];
  }
  SPARSE_RUN_INLINE F load_stride2(const float* p) {
    const __m256 mixed = _mm256_shuffle_ps(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 7), _MM_SHUFFLE(3, 1, 2, 0));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), _MM_SHUFFLE(3, 1, 2, 0)));
  }
  SPARSE_RUN_INLINE __m256i places(const std::uint16_t* at) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
  SPARSE_RUN_INLINE F gather(const float* p, const std::uint16_t* at) { return _mm256_i32gather_ps(p, places(at), 4); }
  SPARSE_RUN_INLINE F gather(const float* p, const std::uint16_t* at, Mask m) {
    return _mm256_mask_i32gather_ps(_mm256_setzero_ps(), p, places(at), _mm256_castsi256_ps(m), 4);
  }
  SPARSE_RUN_INLINE void transpose(F (&block)[8]) {
    F pairs[8], quads[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      pairs[i] = _mm256_unpacklo_ps(block[i], block[i + 1]);
      pairs[i + 1] = _mm256_unpackhi_ps(block[i], block[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        quads[i + 2 * j] = _mm256_shuffle_ps(pairs[i + j], pairs[i + 2 + j], _MM_SHUFFLE(1, 0, 1, 0));
        quads[i + 2 * j + 1] = _mm256_shuffle_ps(pairs[i + j], pairs[i + 2 + j], _MM_SHUFFLE(3, 2, 3, 2));
      }
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      block[c] = _mm256_permute2f128_ps(quads[c], quads[4 + c], 0x20);
      block[4 + c] = _mm256_permute2f128_ps(quads[c], quads[4 + c], 0x31);
    }
  }
  SPARSE_RUN_INLINE F merge_stride2(F x, const float* p, Mask m) {
    return _mm256_mask_i32gather_ps(x, p, _mm256_slli_epi32(lane_numbers(), 1), _mm256_castsi256_ps(m), 4);
  }
  SPARSE_RUN_INLINE void keep(F& x) { __asm__("" : "+x"(x)); }
  SPARSE_RUN_INLINE F add(F a, F b) { return _mm256_add_ps(a, b); }
  SPARSE_RUN_INLINE F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  SPARSE_RUN_INLINE F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  SPARSE_RUN_INLINE F div(F a, F b) { return _mm256_div_ps(a, b); }
  SPARSE_RUN_INLINE F reciprocal(F x) { return _mm256_div_ps(_mm256_set1_ps(1.0f), x); }
  SPARSE_RUN_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  SPARSE_RUN_INLINE F min(F a, F x) { return _mm256_min_ps(a, x); }
  SPARSE_RUN_INLINE F max(F a, F x) { return _mm256_max_ps(a, x); }
  SPARSE_RUN_INLINE F max_or_nan(F a, F x) {
    return _mm256_blendv_ps(_mm256_max_ps(a, x), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
  }
  SPARSE_RUN_INLINE F abs(F x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
  SPARSE_RUN_INLINE F copy_sign(F magnitude, F sign) {
    return _mm256_or_ps(magnitude, _mm256_and_ps(sign, _mm256_set1_ps(-0.0f)));
  }
  SPARSE_RUN_INLINE F round(F x) { return _mm256_round_ps(x, 8); }
  SPARSE_RUN_INLINE F scale_by_power_of_2(F x, F n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
  }
  SPARSE_RUN_INLINE float sum(F x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
};
#endif

struct Portable {
  using F = float __attribute__((vector_size(16)));
  using I = std::int32_t __attribute__((vector_size(16)));
  using Mask = unsigned;  // one bit per lane
  static constexpr int width = 4;
  static constexpr int kTileRows = 4;
  static constexpr int kTileVectors = 2;
  static constexpr int kRegisters = 16;

  SPARSE_RUN_INLINE Mask lanes(int n) { return (1u << n) - 1u; }
  SPARSE_RUN_INLINE Mask lanes(int begin, int end) { return (1u << end) - (1u << begin); }
  SPARSE_RUN_INLINE Mask lanes_of(unsigned bits) { return bits; }
  SPARSE_RUN_INLINE F zero() { return F{}; }
  SPARSE_RUN_INLINE F broadcast(float x) { return F{x, x, x, x}; }
  SPARSE_RUN_INLINE F load(const float* p) {
    F x;
    std::memcpy(&x, p, sizeof x);
    return x;
  }
  SPARSE_RUN_INLINE F load(const float* p, Mask m) { return merge(zero(), p, m); }
  SPARSE_RUN_INLINE void store(float* p, F x) { std::memcpy(p, &x, sizeof x); }
  SPARSE_RUN_INLINE void store(float* p, F x, Mask m) {
    for (int i = 0; i < width; ++i) {
      if (m >> i & 1u) p[i] = x[i];
    }
  }
  SPARSE_RUN_INLINE F merge(F x, const float* p, Mask m) {
    for (int i = 0; i < width; ++i) {
      if (m >> i & 1u) x[i] = p[i];
    }
    return x;
  }
  SPARSE_RUN_INLINE F expand_load(const float* p, Mask m) {
    F x{};
    for (int i = 0; i < width; ++i) {
      if (m >> i & 1u) x[i] = *p++;
    }
    return x;
  }
  SPARSE_RUN_INLINE void compress_store(float* p, F x, Mask m) {
    for (int i = 0; i < width; ++i) {
      if (m >> i & 1u) *p++ = x[i];
    }
  }
  SPARSE_RUN_INLINE F load_stride2(const float* p) { return F{p[0], p[2], p[4], p[6]}; }
  SPARSE_RUN_INLINE F gather(const float* p, const std::uint16_t* at) {
    return F{p[at[0]], p[at[1]], p[at[2]], p[at[3]]};
  }
  SPARSE_RUN_INLINE F gather(const float* p, const std::uint16_t* at, Mask m) {
    F x{};
    for (int i = 0; i < width; ++i) {
      if (m >> i & 1u) x[i] = p[at[i]];
    }
    return x;
  }
  SPARSE_RUN_INLINE void transpose(F (&block)[4]) {
    const F a = block[0], b = block[1], c = block[2], d = block[3];
    block[0] = F{a[0], b[0], c[0], d[0]};
    block[1] = F{a[1], b[1], c[1], d[1]};
    block[2] = F{a[2], b[2], c[2], d[2]};
    block[3] = F{a[3], b[3], c[3], d[3]};
  }
  SPARSE_RUN_INLINE F merge_stride2(F x, const float* p, Mask m) {
    for (int i = 0; i < width; ++i) {
      if (m >> i & 1u) x[i] = p[2 * i];
    }
    return x;
  }
  SPARSE_RUN_INLINE F select(I condition, F a, F b) {
    return reinterpret_cast<F>((condition & reinterpret_cast<I>(a)) | (~condition & reinterpret_cast<I>(b)));
  }
  SPARSE_RUN_INLINE void keep(F&) {}
  SPARSE_RUN_INLINE F add(F a, F b) { return a + b; }
  SPARSE_RUN_INLINE F sub(F a, F b) { return a - b; }
  SPARSE_RUN_INLINE F mul(F a, F b) { return a * b; }
  SPARSE_RUN_INLINE F div(F a, F b) { return a / b; }
  SPARSE_RUN_INLINE F reciprocal(F x) { return 1.0f / x; }
  SPARSE_RUN_INLINE F fma(F a, F b, F c) { return a * b + c; }
  SPARSE_RUN_INLINE F min(F a, F x) { return select(a < x, a, x); }
  SPARSE_RUN_INLINE F max(F a, F x) { return select(a > x, a, x); }
  SPARSE_RUN_INLINE F max_or_nan(F a, F x) { return select((a > x) | (a != a), a, x); }
  SPARSE_RUN_INLINE F abs(F x) { return reinterpret_cast<F>(reinterpret_cast<I>(x) & 0x7fffffff); }
  SPARSE_RUN_INLINE F copy_sign(F magnitude, F sign) {
    return reinterpret_cast<F>(reinterpret_cast<I>(magnitude) | (reinterpret_cast<I>(sign) & INT32_MIN));
  }
  SPARSE_RUN_INLINE F round(F x) {  // exact for |x| < 2^22, which is what exponents need
    const F magic = broadcast(12582912.0f);
    return (x + magic) - magic;
  }
  SPARSE_RUN_INLINE F scale_by_power_of_2(F x, F n) {
    const I exponent = __builtin_convertvector(n, I) + 127;
    return x * reinterpret_cast<F>(exponent << 23);
  }
  SPARSE_RUN_INLINE float sum(F x) { return (x[0] + x[2]) + (x[1] + x[3]); }
};

}  // namespace sparse_run::cpu
