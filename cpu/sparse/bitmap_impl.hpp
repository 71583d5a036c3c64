// Weights with a bit per element times a few vectors: entries are expanded to their rows in registers; templates over a
// vector type.
#pragma once

#include <array>

#include "cpu/column/activation_impl.hpp"
#include "cpu/sparse/bitmap_kernels.hpp"

namespace sparse_run::cpu {

/// How a vector type spreads consecutive entries over the lanes that have one:
///   Stored                      the bits of a vector in memory
///   bits(stored)                what says which lanes these are
///   expand(bits, p)             lanes with a bit get consecutive floats from p, which may be read up to V::width on
///   add(bits, a, b, c)          a · b + c in lanes with a bit, c in the others, whatever b is there
template <class V>
struct Spread;

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__BMI2__)
template <>
struct Spread<Avx512> {
  using Stored = std::uint16_t;
  using Bits = __mmask16;
  SPARSE_RUN_INLINE Bits bits(Stored stored) { return stored; }
  SPARSE_RUN_INLINE __m512 expand(Bits m, const float* p) { return _mm512_maskz_expand_ps(m, _mm512_loadu_ps(p)); }
  SPARSE_RUN_INLINE __m512 add(Bits m, __m512 a, __m512 b, __m512 c) { return _mm512_mask3_fmadd_ps(a, b, c, m); }
};
#endif

#if defined(__AVX2__) && defined(__FMA__)
/// For every byte, which of the packed entries each lane gets; -1: none.
inline constexpr auto kSpreadPlaces = [] {
  std::array<std::array<std::int8_t, 8>, 256> places{};
  for (unsigned bits = 0; bits < 256; ++bits) {
    std::int8_t next = 0;
    for (unsigned lane = 0; lane < 8; ++lane) {
      places[bits][lane] = (bits >> lane & 1u) != 0 ? next++ : std::int8_t{-1};
    }
  }
  return places;
}();

template <>
struct Spread<Avx2> {
  using Stored = std::uint8_t;
  using Bits = __m256i;  // places; negative without an entry
  SPARSE_RUN_INLINE Bits bits(Stored stored) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(kSpreadPlaces[stored].data())));
  }
  SPARSE_RUN_INLINE __m256 expand(Bits places, const float* p) {
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(p), places);
  }
  SPARSE_RUN_INLINE __m256 add(Bits places, __m256 a, __m256 b, __m256 c) {
    return _mm256_blendv_ps(_mm256_fmadd_ps(a, b, c), c, _mm256_castsi256_ps(places));
  }
};
#endif

template <>
struct Spread<Portable> {
  using Stored = std::uint8_t;
  using Bits = unsigned;
  SPARSE_RUN_INLINE Bits bits(Stored stored) { return stored; }
  SPARSE_RUN_INLINE Portable::F expand(Bits m, const float* p) { return Portable::expand_load(p, m); }
  SPARSE_RUN_INLINE Portable::F add(Bits m, Portable::F a, Portable::F b, Portable::F c) {
    for (int i = 0; i < Portable::width; ++i) {
      if ((m >> i & 1u) != 0) c[i] += a[i] * b[i];
    }
    return c;
  }
};

/// Vectors of rows in a block: a power of two whose sums take at most three quarters of the registers.
template <class V>
constexpr int bitmap_vectors(std::size_t lanes) {
  const int most = V::kRegisters * 3 / 4 / static_cast<int>(lanes);
  int vectors = 16;
  while (vectors > most) vectors /= 2;
  return vectors;
}

/// A range of blocks for `Lanes` lanes: a block's sums stay in registers over all columns.
template <class V, int Lanes>
[[gnu::noinline]] void bitmap_blocks(const BitmapPack& pack, const BitmapInput& input, std::size_t block_begin,
                                     std::size_t block_end, float* y, std::size_t y_stride, const Epilogue& epilogue) {
  using F = typename V::F;
  using Stored = typename Spread<V>::Stored;
  constexpr int kVectors = bitmap_vectors<V>(Lanes);
  constexpr std::size_t kRows = static_cast<std::size_t>(kVectors) * V::width;
  const Activation activation = epilogue.activation;
  for (std::size_t block = block_begin; block < block_end; ++block) {
    const std::size_t first_row = block * kRows;
    const std::size_t rows = pack.rows - first_row < kRows ? pack.rows - first_row : kRows;
    const auto live = [&](int v) {  // lanes of a vector that are rows
      const int left = static_cast<int>(rows) - v * V::width;
      return V::lanes(left < 0 ? 0 : left > V::width ? V::width : left);
    };
    F sum[Lanes][kVectors];
#pragma GCC unroll 8
    for (int l = 0; l < Lanes; ++l) {
      const std::size_t lane = static_cast<std::size_t>(l);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        const std::size_t at = first_row + static_cast<std::size_t>(v * V::width);
        F start = epilogue.bias == nullptr ? V::zero() : V::load(epilogue.bias + at, live(v));
        if (epilogue.residual != nullptr) {
          start = V::add(start, V::load(epilogue.residual + lane * epilogue.residual_stride + at, live(v)));
        }
        sum[l][v] = start;
      }
    }
    const float* x = input.values;
    for (std::size_t chunk = 0; chunk < pack.chunks; ++chunk) {
      const std::size_t column = block * pack.columns + chunk * pack.chunk_columns;
      const std::uint8_t* const bits = pack.bits + column * (kVectors * sizeof(Stored));
      const std::uint16_t* const offset = pack.offset + column;
      const float* const weights = pack.weights + pack.first[block * pack.chunks + chunk];
      const std::uint16_t* const end = input.columns + input.chunk_begin[chunk + 1];
      for (const std::uint16_t* k = input.columns + input.chunk_begin[chunk]; k < end; ++k, x += Lanes) {
        const std::uint16_t ahead = end - k > kBitmapAhead ? k[kBitmapAhead] : *k;
        for (std::size_t line = 0; line < pack.lines_ahead; ++line) {
          __builtin_prefetch(weights + offset[ahead] + line * 16);
        }
        const float* w = weights + offset[*k];
        const std::uint8_t* of_column = bits + *k * (kVectors * sizeof(Stored));
        F in[Lanes];
#pragma GCC unroll 8
        for (int l = 0; l < Lanes; ++l) in[l] = V::broadcast(x[l]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v, of_column += sizeof(Stored)) {
          Stored stored;
          __builtin_memcpy(&stored, of_column, sizeof stored);
          const auto mask = Spread<V>::bits(stored);
          const F weight = Spread<V>::expand(mask, w);
          w += __builtin_popcount(stored);
#pragma GCC unroll 8
          for (int l = 0; l < Lanes; ++l) sum[l][v] = Spread<V>::add(mask, weight, in[l], sum[l][v]);
        }
      }
    }
#pragma GCC unroll 8
    for (int l = 0; l < Lanes; ++l) {
      float* const out = y + static_cast<std::size_t>(l) * y_stride + first_row;
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        if (static_cast<std::size_t>(v * V::width) < rows) V::store(out + v * V::width, sum[l][v], live(v));
      }
      activate<V>(activation, out, 0, 1, static_cast<int>(rows));
    }
  }
}

template <class V>
void bitmap_product(const BitmapPack& pack, const BitmapInput& input, std::size_t block_begin, std::size_t block_end,
                    float* y, std::size_t y_stride, const Epilogue& epilogue) {
  using Kernel =
      void (*)(const BitmapPack&, const BitmapInput&, std::size_t, std::size_t, float*, std::size_t, const Epilogue&);
  static constexpr Kernel kernels[kBitmapLanes] = {bitmap_blocks<V, 1>, bitmap_blocks<V, 2>, bitmap_blocks<V, 3>,
                                                   bitmap_blocks<V, 4>, bitmap_blocks<V, 5>, bitmap_blocks<V, 6>,
                                                   bitmap_blocks<V, 7>, bitmap_blocks<V, 8>};
  kernels[pack.lanes - 1](pack, input, block_begin, block_end, y, y_stride, epilogue);
}

template <class V>
constexpr BitmapKernels make_bitmap_kernels(Isa isa) {
  return {.isa = isa,
          .width = V::width,
          .vector_bytes = sizeof(typename Spread<V>::Stored),
          .vectors = bitmap_vectors<V>,
          .run = bitmap_product<V>};
}

}  // namespace sparse_run::cpu
