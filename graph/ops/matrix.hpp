// Registration of the parts of the matrix family, one function per source file.
#pragma once

#include "graph/ops/schema.hpp"

namespace sparse_run {

/// The shape of a NumPy matmul of a by b, unknown dimensions allowed. Error(model) with both when they do not fit.
Shape matmul_shape(const Shape& a, const Shape& b);

}  // namespace sparse_run
