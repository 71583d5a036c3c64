// Constants of a model that stay in CPU memory, where the GPU reads them.
#pragma once

#include <cstddef>
#include <memory>

#include "gpu/cuda/gpu.hpp"

namespace sparse_run::gpu::cuda {

/// Page-locked, so that copies of it run beside kernels and kernels can read it over the bus. The tensor's own memory
/// is locked where the driver does that; otherwise, as for files that some systems do not lock, it is copied.
/// Immutable.
class HostWeights {
 public:
  /// Error(limit) when the machine locks no more memory.
  HostWeights(std::shared_ptr<Gpu> gpu, const Tensor& tensor);
  ~HostWeights();
  HostWeights(const HostWeights&) = delete;
  HostWeights& operator=(const HostWeights&) = delete;

  const void* data() const noexcept { return data_; }
  DevicePtr address() const noexcept { return address_; }  ///< by which kernels read it
  std::size_t bytes() const noexcept { return tensor_.bytes(); }
  bool copied() const noexcept { return copy_ != nullptr; }

 private:
  std::shared_ptr<Gpu> gpu_;
  Tensor tensor_;
  std::shared_ptr<void> copy_;  ///< what is used in place of the tensor's memory
  void* data_ = nullptr;
  DevicePtr address_ = 0;
};

}  // namespace sparse_run::gpu::cuda
