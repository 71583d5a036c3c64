// Words of page-locked host memory, to which executions copy what kernels have found wrong.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "gpu/cuda/gpu.hpp"

namespace sparse_run::gpu::cuda {

/// Thread-safe. Words come back when the last copy of the pointer goes.
class FaultWords : public std::enable_shared_from_this<FaultWords> {
 public:
  explicit FaultWords(std::shared_ptr<Gpu> gpu) : gpu_(std::move(gpu)) {}
  ~FaultWords();
  FaultWords(const FaultWords&) = delete;
  FaultWords& operator=(const FaultWords&) = delete;

  /// Set to 0. Error(limit) when the host has no more such memory.
  std::shared_ptr<unsigned long long> take();

 private:
  std::shared_ptr<Gpu> gpu_;
  std::mutex mutex_;
  std::vector<unsigned long long*> free_;
};

/// Page-locked host memory. Error(limit) when the host has no more of it.
std::shared_ptr<void> allocate_page_locked(const std::shared_ptr<Gpu>& gpu, std::size_t bytes);

}  // namespace sparse_run::gpu::cuda
