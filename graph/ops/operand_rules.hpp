// Rules that type inference of many operators shares: element types, ranks and sizes, broadcasting, axes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "graph/ops/schema.hpp"

namespace sparse_run {

/// A class of element types an operand may have, with the words an error uses for it.
struct DTypeClass {
  bool (*contains)(DType);
  std::string_view name;
};

/// Floats and integers of every width.
inline constexpr DTypeClass kNumeric{[](DType d) { return is_float(d) || is_integer(d); }, "a number type"};
inline constexpr DTypeClass kFloat{[](DType d) { return is_float(d); }, "a floating point type"};
inline constexpr DTypeClass kInteger{[](DType d) { return is_integer(d); }, "an integer type"};
inline constexpr DTypeClass kBoolean{[](DType d) { return d == DType::boolean; }, "bool"};
inline constexpr DTypeClass kString{[](DType d) { return d == DType::string; }, "string"};
inline constexpr DTypeClass kNumericOrBoolean{
    [](DType d) { return is_float(d) || is_integer(d) || d == DType::boolean; }, "a number type or bool"};
inline constexpr DTypeClass kIndex{[](DType d) { return d == DType::i32 || d == DType::i64; }, "i32 or i64"};

/// True for the 8-bit floats and the sub-byte types, for which there are no kernels.
bool is_narrow(DType dtype) noexcept;

/// Error(unsupported) naming the type when there are no kernels for it.
void require_kernels_for(DType dtype);

/// Element type of operand i, which must be a tensor of a type in `accepted` (Error(model) otherwise; a narrow type
/// is Error(unsupported)). undefined: not known yet, nothing is checked.
DType expect_dtype(const InferContext& context, std::size_t i, const DTypeClass& accepted);

/// The same with a list of types.
DType expect_dtype(const InferContext& context, std::size_t i, std::initializer_list<DType> accepted);

/// f16, bf16, f32 or f64.
void expect_float(const InferContext& context, std::size_t i);

/// The element type that operands i and j share; Error(model) when they differ.
DType expect_same_dtype(const InferContext& context, std::size_t i, std::size_t j);

/// The one element type of operands [first, last), omitted ones skipped; each must be in `accepted`.
/// Error(model) naming both types when they differ.
DType expect_same_dtype(const InferContext& context, std::size_t first, std::size_t last, const DTypeClass& accepted);

/// Multidirectional broadcast of the shapes of operands [first, last); nullopt when one of them is not known.
/// Error(model) with the shapes when they do not broadcast.
std::optional<Shape> broadcast_operands(const InferContext& context, std::size_t first, std::size_t last);

/// Checks that operand i broadcasts to `target` without enlarging it (unidirectional broadcasting).
void expect_broadcast_to(const InferContext& context, std::size_t i, const Shape& target);

/// The shape of operand i, of exactly `rank` dimensions when it is known at all; nullptr when it is not.
const Shape* expect_rank(const InferContext& context, std::size_t i, std::size_t rank);

/// The size that two dimensions, either perhaps unknown, share; Error(model) with both when they differ.
std::int64_t expect_same_dim(std::int64_t a, std::int64_t b, std::string_view what);

/// Checks that operand i has one dimension of `length` elements (kUnknownDim: any length); `what` it is, for people.
void expect_vector(const InferContext& context, std::size_t i, std::int64_t length, std::string_view what = "");

/// The element type that an integer attribute names, `fallback` when the attribute is absent. Error(model) for a
/// number that is no element type, Error(unsupported) for one without kernels.
DType dtype_attribute(const Node& node, std::string_view attribute, DType fallback);

/// Axes in [0, rank), ascending. Error(model) for one that is outside or named twice.
std::vector<std::int64_t> normalize_axes(std::vector<std::int64_t> axes, std::size_t rank);

/// Output 0 has the type and shape of operand 0, whose element type is in `accepted`.
void infer_like_input(InferContext& context, const DTypeClass& accepted);

}  // namespace sparse_run
