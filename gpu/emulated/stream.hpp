// A stream of an emulated GPU: a thread that works through a queue and takes as long as the device would.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "device/event.hpp"

namespace sparse_run::gpu {

/// In order of submission, one operation at a time. An operation begins, on the device's clock, when the one before
/// it has ended and all it waits for has; it ends after the duration it states, or later when the host needed longer.
/// Delays of the host's scheduler therefore do not add up along a busy stream.
class Stream {
 public:
  /// Does the work and returns the nanoseconds the device takes for it; 0: as long as the host needs. Throws to fail.
  using Work = std::function<std::int64_t()>;

  explicit Stream(std::string name);
  /// Finishes what is queued.
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Thread-safe. When one of `after` failed, the work is skipped and fails the same way.
  EventPtr submit(std::vector<EventPtr> after, Work work);

 private:
  struct Operation {
    std::vector<EventPtr> after;
    Work work;
    EventPtr event;
    std::int64_t submitted_ns;
  };

  void serve();
  void perform(Operation& operation);

  std::string name_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Operation> queue_;
  bool closing_ = false;
  std::int64_t last_end_ns_ = 0;  ///< of the serving thread
  std::thread thread_;
};

}  // namespace sparse_run::gpu
