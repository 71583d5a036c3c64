// What the processor's vector units and caches can do at most, measured.
#pragma once

#include <cstddef>

#include "cpu/isa.hpp"

namespace sparse_run::cpu {

/// f32 multiply-adds from registers, two operations each, of `threads` threads at once in GFLOP/s: the best of several
/// attempts within `seconds`. With vectors of `isa`, which the processor must run; `portable` multiplies and adds
/// separately, in vectors of four.
double measure_fma_gflops(Isa isa, int threads, double seconds);

/// Reading in GB/s: every thread goes over `bytes` of its own again and again, with the widest loads the processor has.
double measure_read_gbps(std::size_t bytes, int threads, double seconds);

}  // namespace sparse_run::cpu
