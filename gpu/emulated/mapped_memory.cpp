// Mapping a memory file twice, and handing out ranges of it.
#include "gpu/emulated/mapped_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <system_error>

#include "base/error.hpp"

namespace sparse_run::gpu {

namespace {

/// What an allocation takes: at least one unit, so that addresses differ.
std::size_t rounded(std::size_t bytes) {
  constexpr std::size_t unit = MappedMemory::kAlignment;
  return std::max(unit, (bytes + unit - 1) / unit * unit);
}

}  // namespace

MappedMemory::MappedMemory(std::string device, std::size_t capacity) : device_(std::move(device)), capacity_(capacity) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  if (capacity > (std::size_t{1} << 46)) {
    throw_error(ErrorKind::device, "{}: {} bytes of memory are more than addresses allow", device_, capacity);
  }
  capacity_ = std::max(page, (capacity + page - 1) / page * page);
  const auto refuse = [&](const char* what) {
    const std::string reason = std::generic_category().message(errno);
    unmap();
    throw_error(ErrorKind::device, "{}: {} of {} bytes failed: {}; emulate a device with less memory", device_, what,
                capacity_, reason);
  };
  const int file = memfd_create("sparse-run-emulated-gpu", MFD_CLOEXEC);
  if (file < 0) refuse("making a memory file");
  void* closed = MAP_FAILED;
  void* open = MAP_FAILED;
  if (ftruncate(file, static_cast<off_t>(capacity_)) == 0) {
    closed = mmap(nullptr, capacity_, PROT_NONE, MAP_SHARED | MAP_NORESERVE, file, 0);
    open = mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
  }
  const int error = errno;
  close(file);
  public_ = closed == MAP_FAILED ? nullptr : static_cast<std::byte*>(closed);
  private_ = open == MAP_FAILED ? nullptr : static_cast<std::byte*>(open);
  errno = error;
  if (public_ == nullptr || private_ == nullptr) refuse("mapping");
  free_.emplace(0, capacity_);
}

MappedMemory::~MappedMemory() { unmap(); }

void MappedMemory::unmap() noexcept {
  if (public_ != nullptr) munmap(public_, capacity_);
  if (private_ != nullptr) munmap(private_, capacity_);
}

std::size_t MappedMemory::used() const {
  const std::lock_guard lock(mutex_);
  return allocated_ + reserved_;
}

void MappedMemory::check_room(std::size_t bytes) const {
  if (bytes <= capacity_ - allocated_ - reserved_) return;
  throw_error(ErrorKind::device, "{}: out of memory: {} bytes are asked for, {} of {} are in use", device_, bytes,
              allocated_ + reserved_, capacity_);
}

void* MappedMemory::allocate(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > capacity_) check_room(bytes);
  const std::size_t size = rounded(bytes);
  check_room(size);
  const auto fits = std::find_if(free_.begin(), free_.end(), [&](const auto& range) { return range.second >= size; });
  if (fits == free_.end()) {
    throw_error(ErrorKind::device,
                "{}: out of memory: {} bytes are asked for, and no free range is that long ({} of {} "
                "bytes are in use)",
                device_, bytes, allocated_ + reserved_, capacity_);
  }
  const auto [offset, length] = *fits;
  free_.erase(fits);
  if (length > size) free_.emplace(offset + size, length - size);
  allocated_ += size;
  return public_ + offset;
}

void MappedMemory::release(void* address, std::size_t bytes) noexcept {
  const std::size_t size = rounded(bytes);
  std::size_t offset = static_cast<std::size_t>(static_cast<std::byte*>(address) - public_);
  if (scribble_) std::memset(private_ + offset, 0xff, size);
  const std::lock_guard lock(mutex_);
  allocated_ -= size;
  std::size_t length = size;
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && next->first == offset + length) {
    length += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += length;
      return;
    }
  }
  free_.emplace_hint(next, offset, length);
}

void MappedMemory::reserve(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  check_room(bytes);
  reserved_ += bytes;
}

void MappedMemory::unreserve(std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  reserved_ -= bytes;
}

void* MappedMemory::alias(const void* address, std::size_t bytes) const {
  const auto* byte = static_cast<const std::byte*>(address);
  require(
      byte >= public_ && byte <= public_ + capacity_ && bytes <= static_cast<std::size_t>(public_ + capacity_ - byte),
      "a tensor given to an emulated device is not in its memory");
  return private_ + (byte - public_);
}

}  // namespace sparse_run::gpu
