// Working memory that the programs of a device take turns with, so that a chain of them stays in the caches.
#pragma once

#include <cstddef>
#include <mutex>
#include <vector>

#include "graph/ir/tensor.hpp"

namespace sparse_run::cpu {

/// Blocks go out to running programs and come back. The block returned last, being the warmest, goes out first.
/// Thread-safe.
class WorkspacePool {
 public:
  /// A block of at least `bytes`. Error(limit) when memory is exhausted.
  Tensor take(std::size_t bytes);
  void give(Tensor block);

 private:
  std::mutex mutex_;
  std::vector<Tensor> idle_;
};

}  // namespace sparse_run::cpu
