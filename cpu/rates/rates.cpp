// Chains of multiply-adds and sums over memory, for every vector width.
#include "cpu/rates/rates.hpp"

#include <immintrin.h>

#include <algorithm>
#include <latch>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "cpu/column/aligned.hpp"

namespace sparse_run::cpu {

namespace {

constexpr int kChains = 12;  // two ports times a latency of four cycles, and some to spare

// The asm statements keep the compiler from knowing the values: neither loop may be shortened.
#define SPARSE_RUN_MULTIPLY_ADDS(vector, multiply_add)                                                            \
  vector sums[kChains], factor = vector{} + 0.5f, term = vector{} + 1e-3f;                                        \
  for (int i = 0; i < kChains; ++i) sums[i] = vector{} + static_cast<float>(i);                                   \
  for (long round = 0; round < rounds; ++round) {                                                                 \
    _Pragma("GCC unroll 12") for (int i = 0; i < kChains; ++i) { sums[i] = multiply_add(sums[i], factor, term); } \
  }                                                                                                               \
  for (int i = 0; i < kChains; ++i) __asm__ volatile("" : : "x"(sums[i]))

[[gnu::target("avx512f")]] void fma_avx512(long rounds) { SPARSE_RUN_MULTIPLY_ADDS(__m512, _mm512_fmadd_ps); }
[[gnu::target("avx2,fma")]] void fma_avx2(long rounds) { SPARSE_RUN_MULTIPLY_ADDS(__m256, _mm256_fmadd_ps); }
inline __m128 multiply_then_add(__m128 a, __m128 b, __m128 c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
void fma_portable(long rounds) { SPARSE_RUN_MULTIPLY_ADDS(__m128, multiply_then_add); }

#define SPARSE_RUN_READ(vector, load, width)                                                 \
  vector sums[8] = {};                                                                       \
  for (; count >= 8 * (width); count -= 8 * (width), data += 8 * (width)) {                  \
    _Pragma("GCC unroll 8") for (int i = 0; i < 8; ++i) sums[i] += load(data + i * (width)); \
  }                                                                                          \
  for (int i = 0; i < 8; ++i) __asm__ volatile("" : : "x"(sums[i]))

[[gnu::target("avx512f")]] void read_avx512(const float* data, std::size_t count) {
  SPARSE_RUN_READ(__m512, _mm512_loadu_ps, 16);
}
[[gnu::target("avx2")]] void read_avx2(const float* data, std::size_t count) {
  SPARSE_RUN_READ(__m256, _mm256_loadu_ps, 8);
}
void read_portable(const float* data, std::size_t count) { SPARSE_RUN_READ(__m128, _mm_loadu_ps, 4); }

/// Runs `prepare(thread)` and then, all threads together, `attempt(thread)` until `seconds` are over; the shortest time
/// in which all threads finished one attempt.
template <class Prepare, class Attempt>
double shortest_attempt(int threads, double seconds, const Prepare& prepare, const Attempt& attempt) {
  constexpr int kMostAttempts = 64;
  std::latch ready(threads);
  std::vector<std::vector<double>> times(static_cast<std::size_t>(threads));
  const auto run = [&](int thread) {
    prepare(thread);
    ready.arrive_and_wait();
    const auto start = Clock::now();
    auto& own = times[static_cast<std::size_t>(thread)];
    while (own.empty() || (seconds_since(start) < seconds && own.size() < kMostAttempts)) {
      const auto begin = Clock::now();
      attempt(thread);
      own.push_back(seconds_since(begin));
    }
  };
  std::vector<std::jthread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back(run, thread);
  run(0);
  others.clear();  // joins
  double slowest = 0;
  for (const auto& own : times) slowest = std::max(slowest, *std::min_element(own.begin(), own.end()));
  return slowest;
}

}  // namespace

double measure_fma_gflops(Isa isa, int threads, double seconds) {
  constexpr long kRounds = 40000;
  const double lanes = isa == Isa::avx512 ? 16 : isa == Isa::avx2 ? 8 : 4;
  const double taken = shortest_attempt(
      threads, seconds, [](int) {},
      [&](int) {
        isa == Isa::avx512 ? fma_avx512(kRounds) : isa == Isa::avx2 ? fma_avx2(kRounds) : fma_portable(kRounds);
      });
  return 2 * kChains * lanes * kRounds * threads / taken * 1e-9;
}

double measure_read_gbps(std::size_t bytes, int threads, double seconds) {
  const std::size_t count = std::max<std::size_t>(bytes / sizeof(float) / 128 * 128, 128);
  const std::size_t repeats = std::max<std::size_t>(1, (std::size_t{2} << 20) / (count * sizeof(float)));
  const CpuFeatures& features = cpu_features();
  std::vector<AlignedVector<float>> data(static_cast<std::size_t>(threads));
  const auto prepare = [&](int thread) { data[static_cast<std::size_t>(thread)].assign(count, 1.0f); };
  const double taken = shortest_attempt(threads, seconds, prepare, [&](int thread) {
    const float* const own = data[static_cast<std::size_t>(thread)].data();
    for (std::size_t i = 0; i < repeats; ++i) {
      features.avx512 ? read_avx512(own, count) : features.avx2 ? read_avx2(own, count) : read_portable(own, count);
    }
  });
  return static_cast<double>(count * sizeof(float) * repeats) * threads / taken * 1e-9;
}

}  // namespace sparse_run::cpu
