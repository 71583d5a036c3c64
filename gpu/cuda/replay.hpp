// Work of a stream, captured once per set of addresses and replayed as a CUDA graph.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "gpu/cuda/gpu.hpp"

namespace sparse_run::gpu::cuda {

/// Keeps the graphs of the last few sets of addresses. The first execution of all is enqueued as it is, because
/// libraries may then still load kernels; work that cannot be captured is always enqueued so. Used by one thread at a
/// time.
class Replay {
 public:
  explicit Replay(std::shared_ptr<Gpu> gpu) : gpu_(std::move(gpu)) {}
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  /// Runs `enqueue`, whose kernels and copies depend on `addresses` alone, on the stream: now, or captured before.
  void run(StreamHandle stream, const std::vector<DevicePtr>& addresses, const std::function<void()>& enqueue);

  std::size_t captured() const noexcept { return graphs_.size(); }
  std::uint64_t replays() const noexcept { return replays_; }

 private:
  struct Captured {
    std::vector<DevicePtr> addresses;
    GraphExecHandle graph;
  };

  GraphExecHandle capture(StreamHandle stream, const std::function<void()>& enqueue);

  std::shared_ptr<Gpu> gpu_;
  std::list<Captured> graphs_;  ///< the one used last in front
  bool warm_ = false;
  bool refused_ = false;
  std::uint64_t replays_ = 0;
};

}  // namespace sparse_run::gpu::cuda
