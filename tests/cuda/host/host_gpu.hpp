// A GPU on the host: its memory and faults.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

#include "base/error.hpp"
#include "tests/cuda/host/host_cuda.hpp"

namespace sparse_run::host_cuda {

/// Memory is the host's, each block by itself, so that sanitizers see what lies beside it. Thread-safe.
class HostGpu {
 public:
  HostGpu(int index, const HostGpuOptions& options);
  ~HostGpu();

  /// Statuses of the driver.
  int allocate(std::size_t bytes, void** address);
  int release(void* address);
  /// True when the range lies within one block.
  bool holds(const void* address, std::size_t bytes) const;
  std::size_t allocated() const;

  const HostGpuOptions options;
  gpu::Faults faults;
  std::atomic<std::size_t> kernels{0};
  std::atomic<std::size_t> graphs{0};

 private:
  mutable std::mutex mutex_;
  std::map<const std::byte*, std::size_t> blocks_;
  std::size_t allocated_ = 0;
};

std::shared_ptr<HostGpu> host_gpu(int index);
int host_gpu_count();

/// A fault that throws becomes the status of a lost device, or `otherwise`.
template <class Check>
int status_of(const HostGpu& gpu, int otherwise, Check&& check) {
  try {
    check();
    return gpu::cuda::status::kSuccess;
  } catch (const Error&) {
    return gpu.faults.lost() ? gpu::cuda::status::kLaunchFailed : otherwise;
  }
}

}  // namespace sparse_run::host_cuda
