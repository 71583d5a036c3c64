// CUDA's libraries as an implementation on the host: the code of gpu/cuda runs on it unchanged, without a GPU.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "gpu/cuda/api/libraries.hpp"
#include "gpu/emulated/faults.hpp"

namespace sparse_run::host_cuda {

/// What a GPU on the host pretends to be.
struct HostGpuOptions {
  std::string model = "Host GPU";
  int major = 9;
  int minor = 0;
  std::size_t memory_bytes = std::size_t{1} << 30;
  std::size_t shared_bytes = 96 << 10;
  bool memory_pools = true;
};

/// Adds a GPU to those that the driver finds; they stay until the process ends. Its number. Thread-safe.
int add_host_gpu(const HostGpuOptions& options = {});
/// Faults that the GPU is told to have: allocations, copies and kernels fail by status; a lost one fails everything.
gpu::Faults& faults_of(int index);
/// Bytes that the driver has given out and not taken back.
std::size_t allocated_bytes(int index);
/// Kernels and graphs of kernels launched so far.
std::size_t launched_kernels(int index);
std::size_t launched_graphs(int index);

/// Whether memory of the program may be locked; it may unless told otherwise.
void allow_locking(bool allowed);
/// Ranges of it that are locked now.
std::size_t locked_ranges();

/// What cuDNN refuses, so that callers' other ways are taken.
enum class DnnMood { willing, only_plain_convolutions, no_halves, no_convolutions };
void set_dnn_mood(DnnMood mood);

/// Driver and kernels, cuBLASLt, cuDNN, cuSPARSE and NVRTC. The latter compiles for the host with g++.
gpu::cuda::Libraries host_libraries();
/// Driver and kernels alone: all other libraries are absent.
gpu::cuda::Libraries bare_libraries();

gpu::cuda::BlasLt host_blas();
gpu::cuda::Dnn host_dnn();
gpu::cuda::Sparse host_sparse();
gpu::cuda::Nvrtc host_nvrtc();

}  // namespace sparse_run::host_cuda
