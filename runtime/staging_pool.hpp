// Host buffers for copies from and to devices, used again by later requests.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "device/memory.hpp"

namespace sparse_run {

/// Buffers are sized in powers of two. Those in use are bounded by the requests in flight, those at rest by the pool.
/// A buffer comes back when the last tensor that views it is gone, also after the pool itself. Thread-safe.
class StagingPool {
 public:
  static constexpr std::size_t kIdleBytes = std::size_t{256} << 20;

  explicit StagingPool(std::size_t idle_bytes = kIdleBytes) : state_(std::make_shared<State>()) {
    state_->limit = idle_bytes;
  }

  /// Host memory of `device`'s kind. Error(limit) when the host has no more.
  Tensor take(DeviceMemory& device, DType dtype, Shape shape);
  std::size_t idle_bytes() const;

 private:
  using Buffer = std::shared_ptr<void>;  // as devices give it: with the way to free it
  using Key = std::pair<const DeviceMemory*, std::size_t>;
  struct State {
    std::mutex mutex;
    std::size_t limit = 0;
    std::size_t idle = 0;
    std::map<Key, std::vector<Buffer>> buffers;
  };
  std::shared_ptr<State> state_;  // shared with the tensors that are out
};

}  // namespace sparse_run
