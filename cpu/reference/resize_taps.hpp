// Which elements of an axis make one element of its resized form: shared by the oracle and the fast kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/ops/resize.hpp"

namespace sparse_run::reference {

/// The element that output coordinate `x` of an axis copies in nearest mode.
std::int64_t nearest_index(const ResizeAxis& axis, const ResizeMode& mode, std::int64_t x);

struct Weighted {
  std::int64_t index;
  double weight;
};

/// The input elements that make output coordinate `x` of an axis, linear and cubic. Antialiasing widens the kernel of
/// an axis that shrinks by 1/scale. Elements outside repeat the edge, or are excluded and the rest renormalised.
std::vector<Weighted> interpolation_weights(const ResizeAxis& axis, const ResizeMode& mode, std::int64_t x);

}  // namespace sparse_run::reference
