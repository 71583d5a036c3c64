// Measures FMA peak and read bandwidth of one core.
#include "bench/kernels/peak.hpp"

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/clock.hpp"

namespace sparse_run::bench {
namespace {

/// `rounds` times 12 independent multiply-adds whose operands stay in registers.
template <class V>
double chains_gflops(const V& fma, long rounds) {
  const auto begin = Clock::now();
  fma(rounds);
  return 2 * 12 * V::lanes * static_cast<double>(rounds) / seconds_since(begin) * 1e-9;
}

#define SPARSE_RUN_CHAINS(vector, fma_of)                                            \
  vector a[12], x = vector{} + 0.5f, y = vector{} + 1e-3f;                           \
  for (int i = 0; i < 12; ++i) a[i] = vector{} + static_cast<float>(i);              \
  for (; rounds > 0; --rounds) {                                                     \
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; ++i) a[i] = fma_of(a[i], x, y); \
  }                                                                                  \
  for (int i = 0; i < 12; ++i) __asm__ volatile("" : : "x"(a[i]))

struct Wide {
  static constexpr double lanes = 16;
  [[gnu::target("avx512f")]] void operator()(long rounds) const { SPARSE_RUN_CHAINS(__m512, _mm512_fmadd_ps); }
};
struct Medium {
  static constexpr double lanes = 8;
  [[gnu::target("avx2,fma")]] void operator()(long rounds) const { SPARSE_RUN_CHAINS(__m256, _mm256_fmadd_ps); }
};
/// A multiply and an add, as processors without FMA have them.
struct Narrow {
  static constexpr double lanes = 4;
  static __m128 multiply_add(__m128 a, __m128 x, __m128 y) { return a * x + y; }
  void operator()(long rounds) const { SPARSE_RUN_CHAINS(__m128, multiply_add); }
};

#define SPARSE_RUN_READ(vector, load, step)                                             \
  vector sum[8] = {};                                                                   \
  for (; n >= 8 * (step); n -= 8 * (step), p += 8 * (step)) {                           \
    _Pragma("GCC unroll 8") for (int i = 0; i < 8; ++i) sum[i] += load(p + i * (step)); \
  }                                                                                     \
  for (int i = 0; i < 8; ++i) __asm__ volatile("" : : "x"(sum[i]))

[[gnu::target("avx512f")]] void read_wide(const float* p, std::size_t n) {
  SPARSE_RUN_READ(__m512, _mm512_loadu_ps, 16);
}
void read_narrow(const float* p, std::size_t n) { SPARSE_RUN_READ(__m128, _mm_loadu_ps, 4); }

}  // namespace

double fma_peak_gflops(cpu::Isa isa, double seconds) {
  constexpr long kRounds = 20000;
  double best = 0;
  for (const auto start = Clock::now(); seconds_since(start) < seconds;) {
    best = std::max(best, isa == cpu::Isa::avx512 ? chains_gflops(Wide{}, kRounds)
                          : isa == cpu::Isa::avx2 ? chains_gflops(Medium{}, kRounds)
                                                  : chains_gflops(Narrow{}, kRounds));
  }
  return best;
}

double read_bandwidth_gbps(std::size_t bytes, double seconds) {
  const std::vector<float> data(bytes / sizeof(float), 1.0f);
  const bool wide = cpu::cpu_features().avx512;
  double best = 1e9;
  const std::size_t repeat = std::max<std::size_t>(1, (std::size_t{4} << 20) / bytes);
  for (const auto start = Clock::now(); seconds_since(start) < seconds;) {
    const auto begin = Clock::now();
    for (std::size_t r = 0; r < repeat; ++r) {
      wide ? read_wide(data.data(), data.size()) : read_narrow(data.data(), data.size());
    }
    best = std::min(best, seconds_since(begin));
  }
  return static_cast<double>(bytes * repeat) / best * 1e-9;
}

}  // namespace sparse_run::bench
