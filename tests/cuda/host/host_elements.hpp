// Numbers of the types that libraries read.
#pragma once

#include <cstdint>

#include "base/float16.hpp"
#include "gpu/cuda/api/blas_lt.hpp"

namespace sparse_run::host_cuda {

/// Element i of an array of CUDA's type `type`: f32, f16 or bf16.
inline float element(const void* data, std::int64_t i, int type) {
  if (type == gpu::cuda::kTypeF16) return static_cast<float>(static_cast<const Float16*>(data)[i]);
  if (type == gpu::cuda::kTypeBf16) return static_cast<float>(static_cast<const BFloat16*>(data)[i]);
  return static_cast<const float*>(data)[i];
}

}  // namespace sparse_run::host_cuda
