// A stream of a GPU: operations in the order of submission, each an Event.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "device/event.hpp"
#include "gpu/cuda/gpu.hpp"

namespace sparse_run::gpu::cuda {

/// Work is enqueued by the submitting thread when all it waits for is on this GPU or over, else by the thread that
/// ends the last of it. Streams of one GPU wait for each other by native events. One thread per queue waits for the
/// GPU and completes the events.
class Queue {
 public:
  /// Enqueues on the stream; throws Error to fail. Holds whatever has to live until the work is done.
  using Work = std::function<void(StreamHandle)>;
  /// Called before the event is complete and successful, with its times; throws Error to fail all the same.
  using Finish = std::function<void(std::int64_t begin_ns, std::int64_t end_ns)>;

  Queue(std::shared_ptr<Gpu> gpu, const std::string& name);
  /// Waits until all that is submitted is done.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Thread-safe. When one of `after` failed, the work is left out and fails the same way.
  EventPtr submit(std::vector<EventPtr> after, Work work, Finish finish = {});

 private:
  struct Operation;
  struct State;
  std::shared_ptr<State> state_;  // shared with callbacks of events that may outlive the queue
  std::thread thread_;
};

/// A native event; destroyed with the last who waits for it. `timed` ones cost more.
class NativeEvent {
 public:
  explicit NativeEvent(std::shared_ptr<Gpu> gpu);
  ~NativeEvent();
  NativeEvent(const NativeEvent&) = delete;
  NativeEvent& operator=(const NativeEvent&) = delete;
  EventHandle handle() const noexcept { return handle_; }

 private:
  std::shared_ptr<Gpu> gpu_;
  EventHandle handle_ = nullptr;
};

/// Milliseconds between two events that were reached, as nanoseconds. Error(device) when the driver does not know.
std::int64_t elapsed_ns(const Gpu& gpu, const NativeEvent& begin, const NativeEvent& end);

}  // namespace sparse_run::gpu::cuda
