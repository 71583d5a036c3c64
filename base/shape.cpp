// Shape arithmetic.
#include "base/shape.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace sparse_run {

std::int64_t element_count(std::span<const std::int64_t> shape) {
  // A zero anywhere makes the count zero, however large the others are.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::int64_t count = 1;
  for (const std::int64_t dim : shape) {
    require(dim >= 0, "element_count of a shape with an unknown dimension");
    if (__builtin_mul_overflow(count, dim, &count)) {
      throw_error(ErrorKind::limit, "shape {} has more elements than 63 bits can count",
                  to_string(Shape(shape.begin(), shape.end())));
    }
  }
  return count;
}

std::vector<std::int64_t> row_major_strides(std::span<const std::int64_t> shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  // A shape without elements may have dimensions whose product overflows; its strides are never used.
  for (std::size_t i = shape.size(); i-- > 1;) {
    if (__builtin_mul_overflow(strides[i], shape[i], &strides[i - 1])) strides[i - 1] = 0;
  }
  return strides;
}

std::string to_string(const Shape& shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (const std::int64_t dim : shape) {
    if (!text.empty()) text += 'x';
    text += dim < 0 ? std::string("?") : std::to_string(dim);
  }
  return text;
}

std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
  const std::size_t rank = std::max(a.size(), b.size());
  Shape result(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t x = i < rank - a.size() ? 1 : a[i - (rank - a.size())];
    const std::int64_t y = i < rank - b.size() ? 1 : b[i - (rank - b.size())];
    if (x == y || y == 1) {
      result[i] = x;
    } else if (x == 1) {
      result[i] = y;
    } else if (x == kUnknownDim) {
      result[i] = y;  // whatever it is at run time, it is 1 or y
    } else if (y == kUnknownDim) {
      result[i] = x;
    } else {
      return std::nullopt;
    }
  }
  return result;
}

bool is_concrete(std::span<const std::int64_t> shape) noexcept {
  return std::all_of(shape.begin(), shape.end(), [](std::int64_t dim) { return dim >= 0; });
}

std::int64_t normalize_axis(std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    throw_error(ErrorKind::model, "axis {} is outside [-{}, {})", axis, rank, rank);
  }
  return axis < 0 ? axis + signed_rank : axis;
}

}  // namespace sparse_run
