// The thread behind a stream.
#include "gpu/emulated/stream.hpp"

#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>

#include "base/clock.hpp"

namespace sparse_run::gpu {

namespace {

/// A sleeping thread is woken late by some ten microseconds, more on virtual machines: the last of them are spent
/// awake.
constexpr std::int64_t kAwakeNs = 40'000;

void sleep_until(std::int64_t ns) {
  const std::int64_t left = ns - now_ns() - kAwakeNs;
  if (left > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(left));
  while (now_ns() < ns) std::this_thread::yield();
}

}  // namespace

Stream::Stream(std::string name) : name_(std::move(name)), thread_([this] { serve(); }) {}

Stream::~Stream() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

EventPtr Stream::submit(std::vector<EventPtr> after, Work work) {
  Operation operation{std::move(after), std::move(work), std::make_shared<Event>(), now_ns()};
  EventPtr event = operation.event;
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(operation));
  }
  changed_.notify_all();
  return event;
}

void Stream::serve() {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  prctl(PR_SET_TIMERSLACK, 1UL);  // sleeps end within microseconds, as durations of copies are short
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Operation operation = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    perform(operation);
    lock.lock();
  }
}

void Stream::perform(Operation& operation) {
  std::int64_t begin = std::max(operation.submitted_ns, last_end_ns_);
  std::exception_ptr error;
  for (const EventPtr& event : operation.after) {
    if (std::exception_ptr failure = event->outcome(); failure && !error) error = std::move(failure);
    begin = std::max(begin, event->end_ns());
  }
  std::int64_t end = begin;
  if (!error) {
    try {
      const std::int64_t duration = operation.work();
      end = begin + duration;
      if (now_ns() > end) {
        end = now_ns();  // the host was slower than the device it stands for
      } else {
        sleep_until(end);
      }
    } catch (...) {
      error = std::current_exception();
      end = now_ns();
    }
  }
  last_end_ns_ = end;
  operation.work = nullptr;  // operands go before those who wait can look at the memory
  operation.event->complete(begin, end, std::move(error));
}

}  // namespace sparse_run::gpu
