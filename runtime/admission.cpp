// Counting device memory of requests.
#include "runtime/admission.hpp"

#include <algorithm>
#include <chrono>

#include "base/error.hpp"

namespace sparse_run {

Admission::Admission(std::vector<Budget> budgets)
    : budgets_(std::move(budgets)), held_(budgets_.size(), 0), in_flight_(budgets_.size(), 0) {}

Admission::Grant& Admission::Grant::operator=(Grant&& other) noexcept {
  if (this != &other) {
    release();
    from_ = std::exchange(other.from_, nullptr);
    bytes_ = std::move(other.bytes_);
    permanent_ = other.permanent_;
  }
  return *this;
}

void Admission::Grant::release() noexcept {
  if (from_ == nullptr) return;
  {
    const std::lock_guard lock(from_->mutex_);
    auto& counts = permanent_ ? from_->held_ : from_->in_flight_;
    for (std::size_t i = 0; i < bytes_.size(); ++i) counts[i] -= bytes_[i];
  }
  from_->freed_.notify_all();
  from_ = nullptr;
}

Admission::Grant Admission::hold(std::vector<std::size_t> held, std::span<const std::size_t> per_request) {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < budgets_.size(); ++i) {
    if (held[i] == 0 && per_request[i] == 0) continue;
    if (held_[i] + held[i] + per_request[i] > budgets_[i].limit) {
      throw_error(
          ErrorKind::limit,
          "{}: {} bytes of weights and workspace and {} bytes of values per request are above its limit of {}{}; "
          "raise --memory-limit, place less there or use a smaller batch",
          budgets_[i].device, held[i], per_request[i], budgets_[i].limit,
          held_[i] == 0 ? "" : fmt::format(" ({} are held already)", held_[i]));
    }
  }
  for (std::size_t i = 0; i < budgets_.size(); ++i) held_[i] += held[i];
  Grant grant(this, std::move(held));
  grant.permanent_ = true;
  return grant;
}

bool Admission::fits(const std::vector<std::size_t>& bytes) const {
  for (std::size_t i = 0; i < budgets_.size(); ++i) {
    if (bytes[i] == 0 || in_flight_[i] == 0) continue;  // one request is always let in
    if (held_[i] + in_flight_[i] + bytes[i] > budgets_[i].limit) return false;
  }
  return true;
}

Admission::Grant Admission::enter(std::vector<std::size_t> bytes, const std::atomic<bool>* cancelled) {
  constexpr auto kCheck = std::chrono::milliseconds(20);
  std::unique_lock lock(mutex_);
  while (!fits(bytes)) {
    if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
      throw Error(ErrorKind::interrupted, "the run was cancelled while it waited for device memory");
    }
    freed_.wait_for(lock, kCheck);
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) in_flight_[i] += bytes[i];
  return Grant(this, std::move(bytes));
}

}  // namespace sparse_run
