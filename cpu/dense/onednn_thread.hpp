// What oneDNN needs on a thread that calls it: the engine all share, and a stream and scratch memory of the thread's
// own.
#pragma once

#include <omp.h>

#include <cstddef>
#include <dnnl.hpp>

#include "cpu/column/aligned.hpp"

namespace sparse_run::cpu {

inline const dnnl::engine& onednn_engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

/// The packaged library is an OpenMP build: each thread that calls it is told once to compute alone, because the TBB
/// arena owns all parallelism.
struct OnednnThread {
  dnnl::stream stream{onednn_engine()};
  AlignedVector<std::byte> scratch;  ///< grown by its users
  OnednnThread() { omp_set_num_threads(1); }
};

/// The calling thread's, made on first use; asked for also before a primitive is created, which must not start an
/// OpenMP team either.
inline OnednnThread& onednn_thread() {
  thread_local OnednnThread mine;
  return mine;
}

}  // namespace sparse_run::cpu
