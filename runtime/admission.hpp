// Lets requests in as long as devices have memory for what is in flight.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sparse_run {

/// Memory of each device of a session: what compiled graphs hold for good, and what requests in flight take.
/// Thread-safe.
class Admission {
 public:
  struct Budget {
    std::string device;
    std::size_t limit = 0;  ///< bytes
  };
  explicit Admission(std::vector<Budget> budgets);

  /// Memory held until it is destroyed. Bytes are parallel to the budgets.
  class Grant {
   public:
    Grant() = default;
    Grant(Grant&& other) noexcept { *this = std::move(other); }
    Grant& operator=(Grant&& other) noexcept;
    ~Grant() { release(); }

   private:
    friend class Admission;
    Grant(Admission* from, std::vector<std::size_t> bytes) : from_(from), bytes_(std::move(bytes)) {}
    void release() noexcept;
    Admission* from_ = nullptr;
    std::vector<std::size_t> bytes_;
    bool permanent_ = false;
  };

  /// For a compiled graph: `held` as long as it lives, on condition that one request of `per_request` fits beside
  /// all that is held. Error(limit) names the device otherwise.
  Grant hold(std::vector<std::size_t> held, std::span<const std::size_t> per_request);
  /// For one request: waits until it fits. Error(interrupted) once `cancelled` is set.
  Grant enter(std::vector<std::size_t> bytes, const std::atomic<bool>* cancelled);

 private:
  bool fits(const std::vector<std::size_t>& bytes) const;

  std::vector<Budget> budgets_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::size_t> held_;
  std::vector<std::size_t> in_flight_;
};

}  // namespace sparse_run
