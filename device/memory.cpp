// Host memory for copies.
#include "device/memory.hpp"

#include <algorithm>
#include <cstdlib>

namespace sparse_run {

std::shared_ptr<void> allocate_host_memory(std::size_t bytes) {
  constexpr std::size_t kAlignment = 64;
  const std::size_t rounded = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  void* memory = rounded < bytes ? nullptr : std::aligned_alloc(kAlignment, rounded);
  if (memory == nullptr)
    throw_error(ErrorKind::limit, "out of memory: {} bytes for copies to and from a device", bytes);
  return {memory, [](void* p) { std::free(p); }};
}

}  // namespace sparse_run
