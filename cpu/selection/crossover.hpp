// From which share of zeros on sparse kernels beat dense ones on this machine, measured on matrices of a given shape.
#pragma once

#include <cstddef>

namespace sparse_run::cpu {

/// Times a sparse column kernel at two shares of zeros and a dense product, all of rows × k times a block of columns in
/// the calling thread, and returns the share at which a line through the sparse times meets the dense one: in [0, 1],
/// 1 when zeros do not pay at all. Large matrices are represented by a part. Takes a few milliseconds.
double measured_crossover(std::size_t rows, std::size_t k);

}  // namespace sparse_run::cpu
