// Steps of operands that are repeated along axes of a result, for kernels.
#pragma once

#include <array>
#include <vector>

#include "gpu/cuda/kernels/pointwise.hpp"
#include "graph/ir/tensor.hpp"

namespace sparse_run::gpu::cuda {

/// The result's axes, neighbouring ones joined where every operand allows it. Empty when more than kMaxRank remain.
/// Operands broadcast to the result.
template <int kOperands>
std::optional<Broadcasting<kOperands>> broadcasting_of(const Shape& result,
                                                       const std::array<Shape, kOperands>& operands) {
  struct Axis {
    Index size;
    std::array<Index, kOperands> step;
  };
  std::vector<Axis> axes;
  std::array<Index, kOperands> running;
  running.fill(1);
  for (std::size_t back = 0; back < result.size(); ++back) {
    Axis axis{result[result.size() - 1 - back], {}};
    for (std::size_t o = 0; o < operands.size(); ++o) {
      const Shape& shape = operands[o];
      const Index extent = back < shape.size() ? shape[shape.size() - 1 - back] : 1;
      axis.step[o] = extent == 1 ? 0 : running[o];
      running[o] *= extent;
    }
    if (axis.size == 1) continue;
    if (!axes.empty()) {
      Axis& inner = axes.back();
      bool joins = true;
      for (std::size_t o = 0; o < operands.size(); ++o) joins &= axis.step[o] == inner.step[o] * inner.size;
      if (joins) {
        inner.size *= axis.size;
        continue;
      }
    }
    axes.push_back(axis);
  }
  if (axes.size() > kMaxRank) return std::nullopt;
  Broadcasting<kOperands> found{};
  found.rank = static_cast<int>(axes.size());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const Axis& axis = axes[axes.size() - 1 - i];
    found.size[i] = axis.size;
    for (std::size_t o = 0; o < operands.size(); ++o) found.step[o][i] = axis.step[o];
  }
  return found;
}

}  // namespace sparse_run::gpu::cuda
