// Page-locked memory.
#include "gpu/cuda/fault_words.hpp"

#include <algorithm>

namespace sparse_run::gpu::cuda {

std::shared_ptr<void> allocate_page_locked(const std::shared_ptr<Gpu>& gpu, std::size_t bytes) {
  gpu->enter();
  void* memory = nullptr;
  const int code = gpu->driver().host_allocate(&memory, std::max<std::size_t>(64, bytes), kHostAllocPortable);
  if (code == status::kOutOfMemory) {
    throw_error(ErrorKind::limit, "{}: out of page-locked memory: {} bytes for copies", gpu->facts().name, bytes);
  }
  gpu->check(code, fmt::format("allocating {} bytes of page-locked memory", bytes));
  return {memory, [gpu](void* p) { gpu->driver().host_free(p); }};
}

FaultWords::~FaultWords() {
  for (unsigned long long* word : free_) gpu_->driver().host_free(word);
}

std::shared_ptr<unsigned long long> FaultWords::take() {
  unsigned long long* word = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      word = free_.back();
      free_.pop_back();
    }
  }
  if (word == nullptr) {
    void* memory = nullptr;
    gpu_->check(gpu_->driver().host_allocate(&memory, sizeof(*word), kHostAllocPortable),
                "allocating page-locked memory");
    word = static_cast<unsigned long long*>(memory);
  }
  *word = 0;
  return {word, [pool = shared_from_this()](unsigned long long* back) {
            const std::lock_guard lock(pool->mutex_);
            pool->free_.push_back(back);
          }};
}

}  // namespace sparse_run::gpu::cuda
