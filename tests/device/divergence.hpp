// For tests of devices: how far a result is from the oracle's.
#pragma once

#include "graph/ir/tensor.hpp"

namespace sparse_run {

/// The largest |a - b| / (1 + |b|) of f32; infinite when types, shapes or other elements differ, or where one is not a
/// number and the other is.
double divergence(const Tensor& given, const Tensor& expected);

}  // namespace sparse_run
