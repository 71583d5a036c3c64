// The kernels as nvcc compiles them: each takes its parameters and knows its block.
#include "gpu/cuda/kernels/kernel_list.hpp"

namespace sparse_run::gpu::cuda {

#define DEFINE_KERNEL(function, Parameters)                                                     \
  extern "C" __global__ void __launch_bounds__(256) sparse_run_##function(const Parameters p) { \
    extern __shared__ unsigned long long shared_memory[];                                       \
    const Block block{static_cast<Index>(blockIdx.x), static_cast<Index>(gridDim.x), blockDim.x, shared_memory}; \
    function(p, block);                                                                         \
  }
SPARSE_RUN_CUDA_KERNELS(DEFINE_KERNEL)
#undef DEFINE_KERNEL

}  // namespace sparse_run::gpu::cuda
