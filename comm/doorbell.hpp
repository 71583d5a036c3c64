// A sleep with a time limit that any thread can end.
#pragma once

#include <atomic>

namespace sparse_run::comm {

/// One thread sleeps, others ring. A ring that comes while nobody sleeps ends the next sleep at once.
class Doorbell {
 public:
  Doorbell();
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  void ring() noexcept;
  /// Returns after `microseconds` or a ring; `skip()` is asked once more before sleeping, so that no ring is missed.
  template <class Skip>
  void sleep(long microseconds, const Skip& skip) noexcept {
    asleep_.store(true, std::memory_order_seq_cst);
    if (!skip()) wait(microseconds);
    asleep_.store(false, std::memory_order_relaxed);
  }

 private:
  void wait(long microseconds) noexcept;
  int descriptor_ = -1;
  std::atomic<bool> asleep_{false};
};

}  // namespace sparse_run::comm
