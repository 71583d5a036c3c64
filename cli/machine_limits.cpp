// Two small loops on every thread: one that only computes, one that only reads.
#include "cli/machine_limits.hpp"

#include <algorithm>
#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

#include "base/clock.hpp"

namespace sparse_run::cli {

namespace {

// Enough independent chains to hide the latency of a multiply-add on two ports, in vectors of the widest kind;
// compilers split them where the machine has narrower ones.
typedef float Lanes __attribute__((vector_size(64)));
constexpr int kChains = 12;
constexpr int kLanes = 16;

__attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default"))) float multiply_add(int rounds) {
  Lanes sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = Lanes{} + static_cast<float>(c);
  Lanes factor = Lanes{} + 0.999f;
  for (int i = 0; i < rounds; ++i) {
    for (int c = 0; c < kChains; ++c) sums[c] = sums[c] * factor + factor;
  }
  float total = 0;
  for (int c = 0; c < kChains; ++c) total += sums[c][0];
  return total;
}

__attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default"))) float read_all(const float* data,
                                                                                                std::size_t count) {
  Lanes sums[4] = {};
  for (std::size_t i = 0; i + 4 * kLanes <= count; i += 4 * kLanes) {
    for (int c = 0; c < 4; ++c) {
      Lanes lanes;
      __builtin_memcpy(&lanes, data + i + static_cast<std::size_t>(c) * kLanes, sizeof lanes);
      sums[c] += lanes;
    }
  }
  return (sums[0] + sums[1] + sums[2] + sums[3])[0];
}

/// Seconds that `body(thread)` takes when all threads start together.
template <class Body>
double timed(int threads, Body&& body) {
  std::latch ready(threads);
  std::vector<double> seconds(static_cast<std::size_t>(threads));
  const auto run = [&](int thread) {
    ready.arrive_and_wait();
    const auto start = Clock::now();
    body(thread);
    seconds[static_cast<std::size_t>(thread)] = seconds_since(start);
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(run, i);
  run(0);
  for (std::thread& other : others) other.join();
  return *std::max_element(seconds.begin(), seconds.end());
}

}  // namespace

MachineLimits measure_machine_limits(int threads) {
  MachineLimits limits;
  limits.threads = std::clamp(threads, 1, 256);
  std::vector<float> kept(static_cast<std::size_t>(limits.threads));
  const auto keep = [&](int thread, float value) { kept[static_cast<std::size_t>(thread)] = value; };

  constexpr int kRounds = 4'000'000;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const double seconds = timed(limits.threads, [&](int thread) { keep(thread, multiply_add(kRounds / 3)); });
    limits.gflops = std::max(limits.gflops, 2.0 * kRounds / 3 * kChains * kLanes * limits.threads / seconds / 1e9);
  }
  const std::size_t floats = (std::size_t{96} << 20) / sizeof(float) / static_cast<std::size_t>(limits.threads);
  std::vector<std::vector<float>> buffers(static_cast<std::size_t>(limits.threads));
  timed(limits.threads, [&](int thread) { buffers[static_cast<std::size_t>(thread)].assign(floats, 1.0f); });
  for (int attempt = 0; attempt < 3; ++attempt) {
    const double seconds = timed(limits.threads, [&](int thread) {
      keep(thread, read_all(buffers[static_cast<std::size_t>(thread)].data(), floats));
    });
    const double bytes = static_cast<double>(floats) * sizeof(float) * limits.threads;
    limits.gigabytes_per_s = std::max(limits.gigabytes_per_s, bytes / seconds / 1e9);
  }
  volatile float sink = kept.front();
  static_cast<void>(sink);
  return limits;
}

}  // namespace sparse_run::cli
