// How much of a stretch of time a rank was computing: what of a transfer was hidden.
#pragma once

#include <cstdint>
#include <mutex>

namespace sparse_run {

/// One thread computes at a time; any thread asks.
class BusyClock {
 public:
  void begin(std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    since_ns_ = now_ns;
    computing_ = true;
  }
  void end(std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    total_ns_ += now_ns - since_ns_;
    computing_ = false;
  }
  /// Nanoseconds of computing until now. Twice asked, the difference is what fell in between.
  std::int64_t at(std::int64_t now_ns) const {
    const std::lock_guard lock(mutex_);
    return total_ns_ + (computing_ && now_ns > since_ns_ ? now_ns - since_ns_ : 0);
  }

 private:
  mutable std::mutex mutex_;
  std::int64_t total_ns_ = 0;
  std::int64_t since_ns_ = 0;
  bool computing_ = false;
};

}  // namespace sparse_run
