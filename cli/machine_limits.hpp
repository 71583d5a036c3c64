// What this machine can do at most, measured: floating-point rate, and bandwidth of each cache and of memory.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "device/machine.hpp"

namespace sparse_run::cli {

/// One place data can come from.
struct BandwidthLimit {
  std::string name;            ///< "L1", "L2", "L3", "memory"
  std::size_t bytes = 0;       ///< up to which it feeds a layer: twice what was read to measure it; 0: anything
  double gigabytes_per_s = 0;  ///< reading, all threads together
};

struct MachineLimits {
  int threads = 1;
  std::string isa;                        ///< "avx512": whose kernels run
  double gflops = 0;                      ///< f32 multiply-adds from registers, counted as two operations each
  std::vector<BandwidthLimit> bandwidth;  ///< innermost first; the last is memory

  /// The innermost place that holds `bytes`.
  const BandwidthLimit& feeding(double bytes) const;
};

/// Takes about 0.3 s.
MachineLimits measure_machine_limits(const Machine& machine, int threads);

}  // namespace sparse_run::cli
