// The program's kernels, compiled for the host from the same sources.
#include <dlfcn.h>

#include "gpu/cuda/kernels/kernel_list.hpp"
#include "tests/cuda/host/host_module.hpp"

namespace sparse_run::host_cuda {

namespace {

const char kOwnImage[] = "the program's own kernels";

#define HOST_KERNEL(function, Parameters)                                                      \
  {"sparse_run_" #function,                                                                    \
   {sizeof(gpu::cuda::Parameters), [](const void* parameters, const gpu::cuda::Block& block) { \
      gpu::cuda::function(*static_cast<const gpu::cuda::Parameters*>(parameters), block);      \
    }}},

}  // namespace

const void* own_image() { return kOwnImage; }

std::map<std::string, HostKernel> own_kernels() { return {SPARSE_RUN_CUDA_KERNELS(HOST_KERNEL)}; }

HostModule load_generated(const char* path) {
  HostModule module;
  module.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (module.library == nullptr) return module;
  HostKernel kernel;
  kernel.grid = reinterpret_cast<decltype(kernel.grid)>(dlsym(module.library, "run_chain_grid"));
  if (const auto* bytes = static_cast<const std::size_t*>(dlsym(module.library, "chain_bytes"))) {
    kernel.parameter_bytes = *bytes;
  }
  if (kernel.grid != nullptr) module.kernels.emplace("chain", kernel);
  return module;
}

}  // namespace sparse_run::host_cuda
