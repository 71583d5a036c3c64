// A point in a device's work that others wait for or continue from.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace sparse_run {

/// Reached once, by success or by failure. Thread-safe. A device may derive from it to keep its native handle, by
/// which its own streams wait without a detour through the host.
class Event {
 public:
  /// Given the failure, or nullptr. Must neither block nor throw: it runs on a thread of the device.
  using Callback = std::function<void(const std::exception_ptr& error)>;

  Event() = default;
  virtual ~Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  bool ready() const;
  /// Blocks until it is reached; rethrows the failure.
  void wait() const;
  /// Blocks until it is reached; the failure, or nullptr.
  std::exception_ptr outcome() const;
  /// Runs `callback` once it is reached: at once in the calling thread when it is reached already.
  void then(Callback callback);

  /// When the work behind it began and ended, of the clock in base/clock.hpp. Valid once it is reached.
  std::int64_t begin_ns() const;
  std::int64_t end_ns() const;

  /// For the device, once: the work ran from `begin_ns` to `end_ns`, or failed with `error`.
  void complete(std::int64_t begin_ns, std::int64_t end_ns, std::exception_ptr error = nullptr);

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable reached_;
  bool done_ = false;
  std::int64_t begin_ns_ = 0;
  std::int64_t end_ns_ = 0;
  std::exception_ptr error_;
  std::vector<Callback> callbacks_;
};

/// Shared between the stream that reaches it and all who wait.
using EventPtr = std::shared_ptr<Event>;

}  // namespace sparse_run
