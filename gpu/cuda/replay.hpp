// Work of a stream, captured once per set of addresses and replayed as a CUDA graph.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gpu/cuda/gpu.hpp"

namespace sparse_run::gpu::cuda {

/// Keeps the graphs of the last few sets of addresses. The first execution of all is enqueued as it is, because
/// libraries may then still load kernels; work that cannot be captured is always enqueued so, after the reason was told
/// to the options' notice. Used by one thread at a time, but for refusal().
class Replay {
 public:
  /// `what` is captured, for notices: "the partition of 12 steps from node 'a' on".
  Replay(std::shared_ptr<Gpu> gpu, std::string what) : gpu_(std::move(gpu)), what_(std::move(what)) {}
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  /// Runs `enqueue`, whose kernels and copies depend on `addresses` alone, on the stream: now, or captured before.
  void run(StreamHandle stream, const std::vector<DevicePtr>& addresses, const std::function<void()>& enqueue);

  std::size_t captured() const noexcept { return graphs_.size(); }
  std::uint64_t replays() const noexcept { return replays_; }
  /// Why the work is no longer captured; empty while it is. Thread-safe.
  std::string refusal() const;

 private:
  struct Captured {
    std::vector<DevicePtr> addresses;
    GraphExecHandle graph;
  };

  /// nullptr with the reason when the work cannot be captured.
  GraphExecHandle capture(StreamHandle stream, const std::function<void()>& enqueue, std::string& reason);
  void refuse(std::string reason);

  std::shared_ptr<Gpu> gpu_;
  std::string what_;
  std::list<Captured> graphs_;  ///< the one used last in front
  bool warm_ = false;
  bool refused_ = false;
  mutable std::mutex mutex_;  // over the reason alone
  std::string reason_;
  std::uint64_t replays_ = 0;
};

}  // namespace sparse_run::gpu::cuda
