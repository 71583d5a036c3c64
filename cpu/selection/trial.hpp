// Timing steps on operands of the real shapes: what decides between kernels.
#pragma once

#include <cstddef>
#include <vector>

#include "cpu/column/aligned.hpp"
#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// Memory for operands and results of trials, grown as layers need it and filled with numbers from [-1, 1]; half of
/// them zero where a layer reads the result of a ReLU. Constants are the node's own.
///
/// Before each run the private caches are swept, as other layers would have done since the weights were last used, and
/// activations are read again, as their producer would have left them. For one thread, which must be in the arena that
/// will run the program: steps spread over it. Only one trial runs at a time in a process.
class Trial {
 public:
  explicit Trial(const Environment& environment) : environment_(environment) {}

  /// Seconds of the fastest of a few runs. One run suffices when it takes longer than `hopeless`. Negative when the
  /// node cannot be tried: an operand that is not f32, or operands above an eighth of the memory.
  double seconds(const Step& step, const NodeView& view, double hopeless);

 private:
  void sweep_caches();

  const Environment& environment_;
  AlignedVector<float> signed_values_, rectified_values_;
  std::vector<AlignedVector<float>> results_;
  AlignedVector<std::byte> scratch_;
  AlignedVector<float> sweep_;
};

/// Does the operand come out of a ReLU, fused or not?
bool is_rectified(const NodeView& view, std::size_t operand);

}  // namespace sparse_run::cpu
