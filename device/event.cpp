// Waiting for events and continuing from them.
#include "device/event.hpp"

#include <utility>

namespace sparse_run {

bool Event::ready() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

std::exception_ptr Event::outcome() const {
  std::unique_lock lock(mutex_);
  reached_.wait(lock, [this] { return done_; });
  return error_;
}

void Event::wait() const {
  if (const std::exception_ptr error = outcome()) std::rethrow_exception(error);
}

void Event::then(Callback callback) {
  {
    const std::lock_guard lock(mutex_);
    if (!done_) {
      callbacks_.push_back(std::move(callback));
      return;
    }
  }
  callback(error_);
}

std::int64_t Event::begin_ns() const {
  const std::lock_guard lock(mutex_);
  return begin_ns_;
}

std::int64_t Event::end_ns() const {
  const std::lock_guard lock(mutex_);
  return end_ns_;
}

void Event::complete(std::int64_t begin_ns, std::int64_t end_ns, std::exception_ptr error) {
  std::vector<Callback> callbacks;
  {
    const std::lock_guard lock(mutex_);
    begin_ns_ = begin_ns;
    end_ns_ = end_ns;
    error_ = std::move(error);
    done_ = true;
    callbacks.swap(callbacks_);
    reached_.notify_all();
  }
  for (const Callback& callback : callbacks) callback(error_);
}

}  // namespace sparse_run
