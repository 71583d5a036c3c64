// Taking buffers from the pool and giving them back.
#include "runtime/staging_pool.hpp"

#include <algorithm>
#include <bit>

namespace sparse_run {

Tensor StagingPool::take(DeviceMemory& device, DType dtype, Shape shape) {
  constexpr std::size_t kSmallest = 4096;
  const std::size_t bytes = static_cast<std::size_t>(element_count(shape)) * element_size(dtype);
  const Key key{&device, std::bit_ceil(std::max(bytes, kSmallest))};
  Buffer buffer;
  {
    const std::lock_guard lock(state_->mutex);
    auto& idle = state_->buffers[key];
    if (!idle.empty()) {
      buffer = std::move(idle.back());
      idle.pop_back();
      state_->idle -= key.second;
    }
  }
  if (!buffer) buffer = device.allocate_staging(key.second);
  void* const address = buffer.get();
  std::shared_ptr<const void> owner(address, [state = state_, key, held = std::move(buffer)](const void*) mutable {
    const std::lock_guard lock(state->mutex);
    if (state->idle + key.second > state->limit) return;  // `held` goes with the deleter
    state->idle += key.second;
    state->buffers[key].push_back(std::move(held));
  });
  return Tensor::view(dtype, std::move(shape), address, std::move(owner));
}

std::size_t StagingPool::idle_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->idle;
}

}  // namespace sparse_run
