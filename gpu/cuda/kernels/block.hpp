// How kernels are written once and run twice: on a GPU as compiled by nvcc, and on the host for tests.
#pragma once

#if defined(__CUDACC__)
#define SPARSE_RUN_DEVICE __device__ inline
#else
#define SPARSE_RUN_DEVICE inline
#endif

namespace sparse_run::gpu::cuda {

/// Sizes and positions: a type that NVRTC and nvcc know without headers.
using Index = long long;

/// One block of threads. A kernel is a sequence of phases; within one, threads are independent, and between two all
/// threads of the block see each other's writes. On a GPU a phase is run by all threads side by side, on the host by
/// one after the other, so that the same index arithmetic is tested where there is no GPU.
struct Block {
  Index index;       ///< of this block
  Index blocks;      ///< of the launch
  unsigned threads;  ///< of each block, a power of two
  void* shared;      ///< as many bytes as the launch asked for

  /// One phase: body(thread).
  template <class Body>
  SPARSE_RUN_DEVICE void each_thread(Body body) const {
#if defined(__CUDA_ARCH__)
    body(static_cast<unsigned>(threadIdx.x));
    __syncthreads();
#else
    for (unsigned thread = 0; thread < threads; ++thread) body(thread);
#endif
  }

  /// One phase over all blocks: body(i) once for each i < count.
  template <class Body>
  SPARSE_RUN_DEVICE void each_item(Index count, Body body) const {
    each_thread([&](unsigned thread) {
      const Index stride = blocks * threads;
      for (Index i = index * threads + thread; i < count; i += stride) body(i);
    });
  }

  /// combine() over value(0) … value(count - 1), known to all threads afterwards. `scratch` holds `threads` numbers.
  /// The order of combination is the same on both sides.
  template <class Value, class Combine>
  SPARSE_RUN_DEVICE float reduce(Index count, float* scratch, float neutral, Value value, Combine combine) const {
    each_thread([&](unsigned thread) {
      float mine = neutral;
      for (Index i = thread; i < count; i += threads) mine = combine(mine, value(i));
      scratch[thread] = mine;
    });
    for (unsigned half = threads / 2; half > 0; half /= 2) {
      each_thread([&](unsigned thread) {
        if (thread < half) scratch[thread] = combine(scratch[thread], scratch[thread + half]);
      });
    }
    const float result = scratch[0];
    each_thread([](unsigned) {});  // all have read it before the next phase writes it
    return result;
  }
};

inline constexpr int kMaxRank = 8;

}  // namespace sparse_run::gpu::cuda
