// Faults that an emulated GPU is told to have.
#pragma once

#include <atomic>
#include <string>

namespace sparse_run::gpu {

/// Counts operations and fails the chosen ones with Error(device). Thread-safe.
class Faults {
 public:
  explicit Faults(std::string device) : device_(std::move(device)) {}

  /// The `nth` operation of a kind from now on fails; 0: none.
  void fail_allocation(int nth) { allocation_ = nth; }
  void fail_copy(int nth) { copy_ = nth; }
  void fail_kernel(int nth) { kernel_ = nth; }
  /// With the `nth` copy or kernel from now on the device is gone: it and all that follows fails, allocations too.
  void lose_device(int nth) { loss_ = nth; }
  /// As after a reset: the device works again, and no fault is pending.
  void clear();
  bool lost() const { return lost_; }

  /// For the device, before an operation.
  void before_allocation(std::size_t bytes);
  void before_copy();
  void before_kernel(const std::string& node);

 private:
  void check_loss() const;

  std::string device_;
  std::atomic<int> allocation_{0};
  std::atomic<int> copy_{0};
  std::atomic<int> kernel_{0};
  std::atomic<int> loss_{0};
  std::atomic<bool> lost_{false};
};

}  // namespace sparse_run::gpu
