// Taking and giving back blocks.
#include "cpu/workspace_pool.hpp"

#include <sys/mman.h>

#include <cstdint>

namespace sparse_run::cpu {

namespace {

/// Asks for large pages where whole ones fit: rows read in any order would otherwise need an entry of the processor's
/// address table each. The system may refuse.
void advise_huge_pages(Tensor& memory) {
#ifdef MADV_HUGEPAGE
  constexpr std::uintptr_t kHugePage = std::uintptr_t{1} << 21;
  const auto begin = (reinterpret_cast<std::uintptr_t>(memory.raw()) + kHugePage - 1) / kHugePage * kHugePage;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory.raw()) + memory.bytes()) / kHugePage * kHugePage;
  if (end > begin) static_cast<void>(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE));
#else
  static_cast<void>(memory);
#endif
}

}  // namespace

Tensor WorkspacePool::take(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = idle_.size(); i-- > 0;) {
      if (idle_[i].bytes() < bytes) continue;
      Tensor block = std::move(idle_[i]);
      idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
      return block;
    }
    if (!idle_.empty()) idle_.erase(idle_.begin());  // too small: a larger one takes its place
  }
  Tensor block = Tensor::allocate(DType::u8, {static_cast<std::int64_t>(bytes)});
  advise_huge_pages(block);
  return block;
}

void WorkspacePool::give(Tensor block) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(block));
}

}  // namespace sparse_run::cpu
