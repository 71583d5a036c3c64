// Locking constants in CPU memory.
#include "gpu/cuda/host_weights.hpp"

#include <cstring>

#include "gpu/cuda/fault_words.hpp"

namespace sparse_run::gpu::cuda {

HostWeights::HostWeights(std::shared_ptr<Gpu> gpu, const Tensor& tensor) : gpu_(std::move(gpu)), tensor_(tensor) {
  gpu_->enter();
  const Driver& driver = gpu_->driver();
  data_ = const_cast<void*>(tensor_.raw());
  const unsigned flags = kHostRegisterPortable | kHostRegisterDeviceMap | kHostRegisterReadOnly;
  // Whatever the driver has against these pages (another lock, a mapped file), a copy serves as well.
  const bool locked = driver.host_register(data_, tensor_.bytes(), flags) == status::kSuccess;
  if (!locked) {
    copy_ = allocate_page_locked(gpu_, tensor_.bytes());
    data_ = copy_.get();
    std::memcpy(data_, tensor_.raw(), tensor_.bytes());
  }
  if (const int code = driver.host_device_address(&address_, data_, 0); code != status::kSuccess) {
    if (locked) driver.host_unregister(data_);
    gpu_->check(code, "making weights in CPU memory readable");
  }
}

HostWeights::~HostWeights() {
  if (copy_ == nullptr) gpu_->driver().host_unregister(data_);  // fails only when the device is lost
}

}  // namespace sparse_run::gpu::cuda
