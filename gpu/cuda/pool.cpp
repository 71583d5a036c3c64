// Memory of a GPU: pools of the driver, or blocks kept by size.
#include "gpu/cuda/pool.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "gpu/cuda/gpu.hpp"

namespace sparse_run::gpu::cuda {

Pool::Pool(const Gpu& gpu, int device, std::size_t capacity) : gpu_(gpu), capacity_(capacity) {
  if (!gpu.facts().memory_pools) return;
  gpu.check(gpu.driver().pool_default(&pool_, device), "finding its memory pool");
  std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();  // freed memory stays with the process
  gpu.check(gpu.driver().pool_set(pool_, kPoolReleaseThreshold, &keep), "setting up its memory pool");
  gpu.check(gpu.driver().stream_create(&stream_, kStreamNonBlocking), "creating a stream");
}

Pool::~Pool() {
  flush();
  if (stream_ != nullptr) gpu_.driver().stream_destroy(stream_);
}

std::size_t Pool::rounded(std::size_t bytes) noexcept {
  return std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
}

std::size_t Pool::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

void Pool::flush() noexcept {
  const Driver& driver = gpu_.driver();
  if (pool_ != nullptr) {
    driver.stream_synchronize(stream_);
    driver.pool_trim(pool_, 0);
  }
  for (const auto& [size, blocks] : kept_) {
    for (const DevicePtr block : blocks) driver.memory_free(block);
  }
  kept_.clear();
}

int Pool::take(DevicePtr& address, std::size_t size) {
  const Driver& driver = gpu_.driver();
  if (pool_ != nullptr) {
    const int code = driver.memory_allocate_async(&address, size, stream_);
    // The stream holds nothing but frees that are due: once it is through, every other stream may use the block.
    return code == status::kSuccess ? driver.stream_synchronize(stream_) : code;
  }
  if (const auto kept = kept_.find(size); kept != kept_.end() && !kept->second.empty()) {
    address = kept->second.back();
    kept->second.pop_back();
    return status::kSuccess;
  }
  return driver.memory_allocate(&address, size);
}

DevicePtr Pool::allocate(std::size_t bytes) {
  const std::size_t size = bytes > capacity_ ? bytes : rounded(bytes);
  gpu_.enter();
  const std::lock_guard lock(mutex_);
  if (size > capacity_ - used_) {
    throw_error(ErrorKind::device, "{}: out of memory: allocating {} bytes, {} of {} are in use", gpu_.facts().name,
                bytes, used_, capacity_);
  }
  DevicePtr address = 0;
  int code = take(address, size);
  if (code == status::kOutOfMemory) {
    flush();
    code = take(address, size);
    if (code == status::kOutOfMemory) {
      std::size_t free = 0;
      std::size_t total = 0;
      const bool known = gpu_.driver().memory_info(&free, &total) == status::kSuccess;
      throw_error(
          ErrorKind::device,
          "{}: out of memory: allocating {} bytes failed; this program uses {} of the {} it may, {} are free on "
          "the GPU: other programs use it too, or --memory-limit {}=BYTES is too high",
          gpu_.facts().name, bytes, used_, capacity_, known ? fmt::format("{} bytes", free) : "unknown many",
          gpu_.facts().name);
    }
  }
  gpu_.check(code, fmt::format("allocating {} bytes", bytes));
  used_ += size;
  return address;
}

void Pool::release(DevicePtr address, std::size_t bytes) noexcept {
  const std::size_t size = rounded(bytes);
  const Driver& driver = gpu_.driver();
  const std::lock_guard lock(mutex_);
  used_ -= size;
  if (pool_ == nullptr) {
    kept_[size].push_back(address);
    return;
  }
  driver.memory_free_async(address, stream_);  // fails only when the whole device is lost
}

std::shared_ptr<const void> allocate_block(const std::shared_ptr<Gpu>& gpu, std::size_t bytes) {
  void* address = pointer_to(gpu->pool().allocate(bytes));
  return {address, [gpu, bytes](const void* block) { gpu->pool().release(address_of(block), bytes); }};
}

}  // namespace sparse_run::gpu::cuda
