// Modules and kernels on the host.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "gpu/cuda/kernels/block.hpp"

namespace sparse_run::host_cuda {

/// A kernel compiled for the host: all threads of one block, or of all blocks.
struct HostKernel {
  std::size_t parameter_bytes = 0;
  void (*block)(const void* parameters, const gpu::cuda::Block& block) = nullptr;
  void (*grid)(const void* parameters, unsigned blocks, unsigned threads) = nullptr;  ///< of generated kernels
  std::size_t shared_limit = 48 << 10;
};

/// What cuModuleLoadData makes of an image: the program's own kernels, or a shared object made by host_nvrtc.
struct HostModule {
  std::map<std::string, HostKernel> kernels;
  void* library = nullptr;
};

/// The image that stands for the program's own kernels.
const void* own_image();
std::map<std::string, HostKernel> own_kernels();
/// The shared object whose path is the image. Empty when it cannot be loaded.
HostModule load_generated(const char* path);

}  // namespace sparse_run::host_cuda
