// Working sets that fit each cache, read by every thread.
#include "cli/machine_limits.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "cpu/isa.hpp"
#include "cpu/rates/rates.hpp"

namespace sparse_run::cli {

namespace {

constexpr double kSecondsEach = 0.05;
constexpr std::size_t kLargestCacheSet = std::size_t{32} << 20;
/// Of all threads together.
constexpr std::size_t kMemorySet = std::size_t{256} << 20;

}  // namespace

const BandwidthLimit& MachineLimits::feeding(double bytes) const {
  require(!bandwidth.empty(), "limits were not measured");
  for (const BandwidthLimit& limit : bandwidth) {
    if (limit.bytes == 0 || bytes <= static_cast<double>(limit.bytes)) return limit;
  }
  return bandwidth.back();
}

MachineLimits measure_machine_limits(const Machine& machine, int threads) {
  MachineLimits limits;
  limits.threads = std::clamp(threads, 1, 256);
  const auto count = static_cast<std::size_t>(limits.threads);
  limits.isa = to_string(cpu::active_isa());
  limits.gflops = cpu::measure_fma_gflops(cpu::active_isa(), limits.threads, kSecondsEach);
  std::size_t inside = 0;
  for (const CacheLevel& cache : machine.caches) {
    const auto sharing = static_cast<std::size_t>(std::max(1, cache.sharing_cores));
    const std::size_t all = cache.bytes * std::max<std::size_t>(1, (count + sharing - 1) / sharing);
    // Half of it, so that it is this cache that is measured; clear of the one inside. An outermost cache may be shared
    // with strangers: not more than a part of a large one.
    const std::size_t set = std::min(std::max(all / 2, std::min(2 * inside, all)), kLargestCacheSet);
    inside = all;
    limits.bandwidth.push_back(
        {fmt::format("L{}", cache.level), 2 * set, cpu::measure_read_gbps(set / count, limits.threads, kSecondsEach)});
  }
  limits.bandwidth.push_back(
      {"memory", 0, cpu::measure_read_gbps(kMemorySet / count, limits.threads, 2 * kSecondsEach)});
  return limits;
}

}  // namespace sparse_run::cli
