// What one core can do at most: the denominators of the kernel benchmark.
#pragma once

#include "cpu/isa.hpp"

namespace sparse_run::bench {

/// f32 FMA rate with all operands in registers, in GFLOP/s (2 per FMA), measured now over about `seconds`.
double fma_peak_gflops(cpu::Isa isa, double seconds);

/// Rate at which one core reads `bytes` of memory again and again, in GB/s.
double read_bandwidth_gbps(std::size_t bytes, double seconds);

}  // namespace sparse_run::bench
