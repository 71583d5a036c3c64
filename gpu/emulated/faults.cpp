// Counting down to a fault.
#include "gpu/emulated/faults.hpp"

#include "base/error.hpp"

namespace sparse_run::gpu {

namespace {

/// True for the one call that the countdown ends with.
bool falls_due(std::atomic<int>& countdown) {
  int left = countdown.load();
  while (left > 0) {
    if (countdown.compare_exchange_weak(left, left - 1)) return left == 1;
  }
  return false;
}

}  // namespace

void Faults::clear() {
  allocation_ = copy_ = kernel_ = loss_ = 0;
  lost_ = false;
}

void Faults::check_loss() const {
  if (lost_) throw_error(ErrorKind::device, "{}: the device is lost; open it again", device_);
}

void Faults::before_allocation(std::size_t bytes) {
  check_loss();
  if (falls_due(allocation_)) throw_error(ErrorKind::device, "{}: allocating {} bytes failed", device_, bytes);
}

void Faults::before_copy() {
  if (falls_due(loss_)) lost_ = true;
  check_loss();
  if (falls_due(copy_)) throw_error(ErrorKind::device, "{}: a copy failed", device_);
}

void Faults::before_kernel(const std::string& node) {
  if (falls_due(loss_)) lost_ = true;
  check_loss();
  if (falls_due(kernel_)) throw_error(ErrorKind::device, "{}: a kernel failed at {}", device_, node);
}

}  // namespace sparse_run::gpu
