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

/// Runs `prepare(thread)` and then, all threads together, `attempt(thread)` until `seconds` are over. A time that a
/// quarter of the attempts of every thread stayed within: attempts are far shorter than the time slices of a scheduler,
/// so that those during which other programs had the core fall out, and so do those that ran while another thread of
/// ours had to wait and left it all the bandwidth.
template <class Prepare, class Attempt>
double usual_attempt(int threads, double seconds, const Prepare& prepare, const Attempt& attempt) {
  constexpr std::size_t kMostAttempts = 4096;
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
  for (auto& own : times) {
    const auto quarter = own.begin() + static_cast<std::ptrdiff_t>(own.size() / 4);
    std::nth_element(own.begin(), quarter, own.end());
    slowest = std::max(slowest, *quarter);
  }
  return slowest;
}

}  // namespace

double measure_fma_gflops(Isa isa, int threads, double seconds) {
  constexpr long kRounds = 40000;
  const double lanes = isa == Isa::avx512 ? 16 : isa == Isa::avx2 ? 8 : 4;
  const double taken = usual_attempt(
      threads, seconds, [](int) {},
      [&](int) {
        isa == Isa::avx512 ? fma_avx512(kRounds) : isa == Isa::avx2 ? fma_avx2(kRounds) : fma_portable(kRounds);
      });
  return 2 * kChains * lanes * kRounds * threads / taken * 1e-9;
}

double measure_read_gbps(std::size_t bytes, int threads, double seconds) {
  constexpr std::size_t kAttempt = (std::size_t{2} << 20) / sizeof(float);
  std::size_t count = std::max<std::size_t>(bytes / sizeof(float) / 128 * 128, 128);
  if (count > kAttempt) count -= count % kAttempt;  // attempts walk on through it
  const std::size_t part = std::min(count, kAttempt), repeats = std::max<std::size_t>(1, kAttempt / count);
  const CpuFeatures& features = cpu_features();
  std::vector<AlignedVector<float>> data(static_cast<std::size_t>(threads));
  std::vector<std::size_t> next(static_cast<std::size_t>(threads) * 16);  // each on a cache line of its own
  const auto prepare = [&](int thread) { data[static_cast<std::size_t>(thread)].assign(count, 1.0f); };
  const double taken = usual_attempt(threads, seconds, prepare, [&](int thread) {
    std::size_t& at = next[static_cast<std::size_t>(thread) * 16];
    const float* const own = data[static_cast<std::size_t>(thread)].data() + at;
    for (std::size_t i = 0; i < repeats; ++i) {
      features.avx512 ? read_avx512(own, part) : features.avx2 ? read_avx2(own, part) : read_portable(own, part);
    }
    at = (at + part) % count;
  });
  return static_cast<double>(part * sizeof(float) * repeats) * threads / taken * 1e-9;
}

}  // namespace sparse_run::cpu
