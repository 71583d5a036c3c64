// Counts what one import has used of its limits, so that inlined functions cannot multiply without bound.
#pragma once

#include "base/error.hpp"
#include "graph/onnx/limits.hpp"

namespace sparse_run::onnx {

/// One per import; not thread-safe. Each charge throws Error(limit) once its sum exceeds the limit.
class Budget {
 public:
  explicit Budget(const ImportLimits& limits) : limits_(limits) {}

  const ImportLimits& limits() const noexcept { return limits_; }

  void charge_node() { charge(nodes_, 1, limits_.nodes, "nodes, functions inlined"); }
  /// Throws what charging `count` nodes would throw, and charges nothing.
  void require_nodes(std::uint64_t count) const {
    std::uint64_t used = nodes_;
    charge(used, count, limits_.nodes, "nodes, functions inlined");
  }
  void charge_operands(std::uint64_t count) {
    charge(operands_, count, limits_.operands, "operands and attributes, functions inlined");
  }
  void charge_constant(std::uint64_t bytes) {
    charge(constant_bytes_, bytes, limits_.constant_bytes, "bytes of constants, functions inlined");
  }

 private:
  static void charge(std::uint64_t& used, std::uint64_t more, std::uint64_t limit, const char* what) {
    if (more > limit - used) throw_error(ErrorKind::limit, "the model has more than {} {}", limit, what);
    used += more;
  }

  ImportLimits limits_;
  std::uint64_t nodes_ = 0;
  std::uint64_t operands_ = 0;
  std::uint64_t constant_bytes_ = 0;
};

}  // namespace sparse_run::onnx
