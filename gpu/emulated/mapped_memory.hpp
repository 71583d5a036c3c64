// The memory of an emulated GPU: one memory file mapped twice, once for addresses and once for its kernels.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>

namespace sparse_run::gpu {

/// Addresses given out lie in a mapping without access rights: whoever takes one for host memory faults. Kernels and
/// copies of the device reach the same bytes through a private second mapping. Thread-safe.
class MappedMemory {
 public:
  static constexpr std::size_t kAlignment = 256;

  /// `capacity` bytes, rounded up to pages; they take host memory once written. Error(device), naming `device`, when
  /// the system refuses the mapping.
  MappedMemory(std::string device, std::size_t capacity);
  ~MappedMemory();
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;

  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t used() const;

  /// An address without access rights, aligned to kAlignment. Error(device) when no free range is long enough.
  void* allocate(std::size_t bytes);
  /// `address` and `bytes` as allocated.
  void release(void* address, std::size_t bytes) noexcept;
  /// Takes bytes off the capacity without an address, for what the device keeps elsewhere. Error(device) as above.
  void reserve(std::size_t bytes);
  void unreserve(std::size_t bytes) noexcept;

  /// The same byte as a kernel of the device sees it. Error(internal) when the range is not the device's.
  void* alias(const void* address, std::size_t bytes) const;
  /// Released ranges are overwritten with 0xff (not-a-number), so that late readers show.
  void scribble_on_release(bool wanted) noexcept { scribble_ = wanted; }

 private:
  void unmap() noexcept;
  void check_room(std::size_t bytes) const;

  std::string device_;
  std::size_t capacity_;
  std::byte* public_ = nullptr;
  std::byte* private_ = nullptr;
  bool scribble_ = false;
  mutable std::mutex mutex_;
  std::map<std::size_t, std::size_t> free_;  ///< offset → bytes, no two adjacent
  std::size_t allocated_ = 0;
  std::size_t reserved_ = 0;
};

}  // namespace sparse_run::gpu
