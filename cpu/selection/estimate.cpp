// A roofline with nominal rates: only ratios between candidates matter, and timing corrects them.
#include "cpu/selection/estimate.hpp"

#include <algorithm>

#include "cpu/isa.hpp"

namespace sparse_run::cpu {

namespace {

constexpr double kClock = 2.8e9;           // nominal: two FMA ports of one vector each
constexpr double kCacheBandwidth = 25e9;   // per thread, from the outer cache
constexpr double kMemoryBandwidth = 12e9;  // per thread
constexpr double kDispatch = 2e-6;         // handing out a step's tasks

double peak_flops(int threads) {
  const double lanes = active_isa() == Isa::avx512 ? 16 : active_isa() == Isa::avx2 ? 8 : 4;
  return 2 * 2 * lanes * kClock * threads;
}

double traffic_seconds(double bytes, const Environment& environment) {
  const auto outer = static_cast<double>(environment.machine.cache_bytes(3, std::size_t{8} << 20));
  return bytes / ((bytes <= outer / 2 ? kCacheBandwidth : kMemoryBandwidth) * environment.threads);
}

}  // namespace

Estimate estimate_dense(const Workload& work, const Environment& environment) {
  const double arithmetic = work.flops / (peak_flops(environment.threads) * work.efficiency);
  return {std::max(arithmetic, traffic_seconds(work.bytes, environment)) + work.fixed_seconds + kDispatch, 0};
}

Estimate estimate_sparse(const Workload& work, const Environment& environment) {
  const double arithmetic = work.flops / (peak_flops(environment.threads) * work.efficiency);
  return {0.5 * traffic_seconds(work.bytes, environment) + work.fixed_seconds + kDispatch,
          std::max(arithmetic, traffic_seconds(work.sparse_bytes, environment))};
}

}  // namespace sparse_run::cpu
