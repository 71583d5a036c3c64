// What the operands and attributes of movement operators mean for a given shape: axes, ranges, pads, parts.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/shape.hpp"
#include "graph/ir/node.hpp"

namespace sparse_run {

using OptionalIntegers = std::optional<std::vector<std::int64_t>>;

/// Axes in [-rank, rank) made non-negative, in the given order. Error(model) when one is outside or named twice.
std::vector<std::int64_t> distinct_axes(std::span<const std::int64_t> axes, std::size_t rank);

/// The only element of a tensor of any arithmetic type, truncated towards zero. Error(model) when there is not
/// exactly one element, when it is not finite or does not fit 64 bits.
std::int64_t integer_scalar(const Tensor& tensor);

/// The shape that Reshape's target means for `input` (unknown dimensions allowed): 0 copies a dimension unless
/// `allow_zero`, one -1 takes what is left. Error(model) when the element counts cannot agree.
Shape reshape_target(const Shape& input, std::span<const std::int64_t> target, bool allow_zero);

/// The part [first, second) of a shape of `rank` dimensions that a Shape node reports.
std::pair<std::int64_t, std::int64_t> shape_bounds(const Node& node, std::size_t rank);

/// Elements start, start + step, …, `count` of them, along one axis.
struct SliceRange {
  std::int64_t start = 0;
  std::int64_t step = 1;
  std::int64_t count = 0;
};

/// Slice's start/end/step along an axis of `dim` elements, clamped as NumPy clamps. Error(model) for step 0.
SliceRange slice_range(std::int64_t dim, std::int64_t start, std::int64_t end, std::int64_t step);

/// One range per axis of `shape`; axes that are not sliced are taken whole. A range along an unknown dimension has
/// count kUnknownDim. Error(model) when the lists differ in length, or for bad axes or steps.
std::vector<SliceRange> slice_ranges(const Shape& shape, std::span<const std::int64_t> starts,
                                     std::span<const std::int64_t> ends, const OptionalIntegers& axes,
                                     const OptionalIntegers& steps);

/// Elements added (negative: removed) before and after, per axis.
struct Padding {
  std::vector<std::int64_t> before;
  std::vector<std::int64_t> after;
};

/// Pad's list of begins, then ends, for `axes` (all axes when absent) of a tensor of `rank`. Error(model) when its
/// length is not twice the number of axes.
Padding padding_of(std::size_t rank, std::span<const std::int64_t> pads, const OptionalIntegers& axes);

/// The sizes of the `parts` parts that an axis of `dim` elements (may be unknown) is split into. `sizes`: given
/// explicitly. `uneven`: without sizes, the last part may be smaller (Split from opset 18 on). Error(model) when
/// the sizes are negative or do not add up to `dim`.
std::vector<std::int64_t> split_sizes(std::int64_t dim, std::size_t parts, const OptionalIntegers& sizes, bool uneven);

/// a + b and a * b of two sizes; Error(limit) naming `what` on overflow. Unknown when either is unknown.
std::int64_t add_dims(std::int64_t a, std::int64_t b, const char* what);
std::int64_t multiply_dims(std::int64_t a, std::int64_t b, const char* what);

/// The number of elements Range produces for start, limit and delta of the same numeric type. Error(model) for other
/// types, delta 0 or values that are not finite, Error(limit) for more than 2^40 elements.
std::int64_t range_length(const Tensor& start, const Tensor& limit, const Tensor& delta);

}  // namespace sparse_run
