// What this machine can do at most, measured: floating-point rate and memory bandwidth.
#pragma once

namespace sparse_run::cli {

struct MachineLimits {
  int threads = 1;
  double gflops = 0;           ///< f32 multiply-adds from registers, counted as two operations each
  double gigabytes_per_s = 0;  ///< reading from memory
};

/// Takes about 0.15 s.
MachineLimits measure_machine_limits(int threads);

}  // namespace sparse_run::cli
