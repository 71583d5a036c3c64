// Results of an emulated GPU that are computed once: the same operands give them again without any arithmetic.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "graph/ir/value.hpp"

namespace sparse_run::gpu {

/// The last few calls of one executable, operands and results copied. A host cannot compute as fast as the GPU it
/// stands for; what it has computed before it can hand out at once, and then only the device's own duration passes.
/// Equality is that of bytes, so what is handed out is what would have been computed. Thread-safe.
class Replay {
 public:
  /// Calls whose operands and results together exceed `limit_bytes` are not remembered; 0: none is.
  explicit Replay(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  /// Writes the results of an earlier call with the same operands; false when none is known. Tensors of `outputs` have
  /// the shapes of that call; all of them lie in host memory.
  bool recall(std::span<const Value> inputs, std::span<Value> outputs) const;

  /// Keeps copies, in place of the oldest call once kCalls are known. After kMisses calls that nobody asked for again
  /// nothing more is kept: operands never repeat here, and copies would be for nothing.
  void remember(std::span<const Value> inputs, std::span<const Value> outputs);

 private:
  static constexpr std::size_t kCalls = 4;
  static constexpr int kMisses = 16;
  struct Call {
    std::vector<Value> inputs;
    std::vector<Value> outputs;
  };

  std::size_t limit_bytes_;
  mutable std::mutex mutex_;
  mutable int misses_ = 0;  ///< calls remembered since one was recalled
  std::deque<Call> calls_;
};

}  // namespace sparse_run::gpu
