// How reference kernels read and write tensors of any numeric type: through vectors of double or of 64-bit integers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/ir/tensor.hpp"

namespace sparse_run::reference {

/// Elements as double: exact for every float type and for integers of up to 53 bits. bool becomes 0 or 1.
/// Error(unsupported) for complex, string and sub-byte types.
std::vector<double> to_doubles(const Tensor& tensor);

/// Elements as 64-bit integers (u64 keeps its bits). Error(unsupported) for other than integer types and bool.
std::vector<std::int64_t> to_integers(const Tensor& tensor);

/// Writes `values` into `tensor`, one per element. Float types round to nearest even; integer types truncate towards
/// zero and saturate, NaN becomes 0.
void store(Tensor& tensor, std::span<const double> values);

/// Writes `values` into an integer tensor, keeping the low bits.
void store_integers(Tensor& tensor, std::span<const std::int64_t> values);

/// output[i] = input[source[i]], any element type that has memory; `fill`, converted, where source[i] is negative.
void gather_elements(const Tensor& input, std::span<const std::int64_t> source, Tensor& output, double fill = 0);

/// Advances `index` through `shape` in row-major order; false, with `index` back at zero, after the last one.
/// A shape with an empty dimension must not be walked.
bool next_index(std::span<std::int64_t> index, std::span<const std::int64_t> shape) noexcept;

/// True when any dimension is 0.
bool has_no_elements(std::span<const std::int64_t> shape) noexcept;

}  // namespace sparse_run::reference
