// Memory of a GPU, given out and taken back without waiting for its work.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "gpu/cuda/api/driver.hpp"

namespace sparse_run::gpu::cuda {

class Gpu;

/// Up to a capacity. Where the driver has memory pools, each request goes to the device's pool on a stream of its own;
/// otherwise freed blocks are kept by size and given out again, and returned to the driver when it has no more.
/// Whoever frees a block knows that no work on it is left. Thread-safe.
class Pool {
 public:
  static constexpr std::size_t kAlignment = 256;

  Pool(const Gpu& gpu, int device, std::size_t capacity);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// At least one byte, rounded up to kAlignment. Error(device) beyond the capacity or what the GPU has left.
  DevicePtr allocate(std::size_t bytes);
  /// `address` and `bytes` as allocated.
  void release(DevicePtr address, std::size_t bytes) noexcept;
  /// What an allocation of `bytes` counts for.
  static std::size_t rounded(std::size_t bytes) noexcept;

  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t used() const;

 private:
  int take(DevicePtr& address, std::size_t size);
  void flush() noexcept;

  const Gpu& gpu_;  // owns this pool
  std::size_t capacity_;
  PoolHandle pool_ = nullptr;
  StreamHandle stream_ = nullptr;  ///< with pools: orders frees before later allocations
  mutable std::mutex mutex_;
  std::size_t used_ = 0;
  std::map<std::size_t, std::vector<DevicePtr>> kept_;  ///< without pools: by size
};

/// A block that lives as long as the last copy of the pointer; it keeps the GPU open. The address is the pointer's.
std::shared_ptr<const void> allocate_block(const std::shared_ptr<Gpu>& gpu, std::size_t bytes);

/// The address as the driver's functions take it, and back.
inline DevicePtr address_of(const void* pointer) noexcept { return reinterpret_cast<DevicePtr>(pointer); }
inline void* pointer_to(DevicePtr address) noexcept { return reinterpret_cast<void*>(address); }

}  // namespace sparse_run::gpu::cuda
