// How elementwise operators with several operands walk them: broadcast dimensions collapsed into rows.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/shape.hpp"

namespace sparse_run::cpu {

/// An elementwise operation over collapsed dimensions: rows of `width` elements, in each of which every operand steps
/// by 0 or 1; where a row starts in each operand follows from its index.
template <std::size_t Operands>
struct BroadcastPlan {
  using Strides = std::array<std::int64_t, Operands>;

  std::int64_t width = 1;
  std::array<int, Operands> step{};
  std::vector<std::int64_t> dims;  ///< outer dimensions, outermost first
  std::vector<Strides> strides;    ///< parallel to dims, in elements

  /// Where row `row` starts in each operand.
  Strides starts(std::int64_t row) const {
    Strides at{};
    for (std::size_t d = dims.size(); d-- > 0;) {
      const std::int64_t index = row % dims[d];
      for (std::size_t k = 0; k < Operands; ++k) at[k] += index * strides[d][k];
      row /= dims[d];
    }
    return at;
  }
};

/// The plan for operands that broadcast to `result` (multidirectional, as ONNX has it).
template <std::size_t Operands>
BroadcastPlan<Operands> plan_broadcast(const std::array<const Shape*, Operands>& operands, const Shape& result) {
  using Strides = typename BroadcastPlan<Operands>::Strides;
  struct Dim {
    std::int64_t size;
    Strides strides;
  };
  std::vector<Strides> strides(result.size(), Strides{});
  for (std::size_t k = 0; k < Operands; ++k) {
    const Shape& shape = *operands[k];
    std::int64_t stride = 1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::size_t own = shape.size() - 1 - i;
      if (shape[own] != 1) strides[result.size() - 1 - i][k] = stride;
      stride *= shape[own];
    }
  }
  // Neighbouring dimensions that every operand walks contiguously, or repeats, are one.
  std::vector<Dim> merged;
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (result[i] == 1) continue;
    bool contiguous = !merged.empty();
    for (std::size_t k = 0; contiguous && k < Operands; ++k) {
      contiguous = merged.back().strides[k] == strides[i][k] * result[i];
    }
    if (contiguous) {
      merged.back() = {merged.back().size * result[i], strides[i]};
    } else {
      merged.push_back({result[i], strides[i]});
    }
  }
  BroadcastPlan<Operands> plan;
  if (!merged.empty()) {
    plan.width = merged.back().size;
    for (std::size_t k = 0; k < Operands; ++k) plan.step[k] = static_cast<int>(merged.back().strides[k]);
    merged.pop_back();
  }
  for (const Dim& dim : merged) {
    plan.dims.push_back(dim.size);
    plan.strides.push_back(dim.strides);
  }
  return plan;
}

}  // namespace sparse_run::cpu
