// Concrete shapes and their arithmetic, with overflow checked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sparse_run {

/// Dimensions, outermost first. Empty: a scalar. A concrete shape has no negative dimension;
/// in type inference -1 stands for a dimension that is not known.
using Shape = std::vector<std::int64_t>;

inline constexpr std::int64_t kUnknownDim = -1;

/// Number of elements of a concrete shape. Throws Error(limit) when it does not fit 63 bits.
std::int64_t element_count(std::span<const std::int64_t> shape);

/// Row-major strides in elements.
std::vector<std::int64_t> row_major_strides(std::span<const std::int64_t> shape);

/// "2x3x224x224"; "scalar" for rank 0; "?" for an unknown dimension.
std::string to_string(const Shape& shape);

/// Multidirectional (NumPy) broadcast of two shapes, unknown dimensions allowed. nullopt: they do not broadcast.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);

/// True when no dimension is unknown.
bool is_concrete(std::span<const std::int64_t> shape) noexcept;

/// Axis in [-rank, rank) → [0, rank). Throws Error(model) when it is outside.
std::int64_t normalize_axis(std::int64_t axis, std::size_t rank);

}  // namespace sparse_run
