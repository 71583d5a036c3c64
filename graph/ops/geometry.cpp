// Geometry of movement operators, with every number from a model checked.
#include "graph/ops/geometry.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"

namespace sparse_run {

std::vector<std::int64_t> distinct_axes(std::span<const std::int64_t> axes, std::size_t rank) {
  std::vector<std::int64_t> result;
  std::vector<bool> seen(rank, false);
  for (const std::int64_t axis : axes) {
    const std::int64_t normal = normalize_axis(axis, rank);
    if (seen[static_cast<std::size_t>(normal)]) throw_error(ErrorKind::model, "axis {} is named twice", axis);
    seen[static_cast<std::size_t>(normal)] = true;
    result.push_back(normal);
  }
  return result;
}

std::int64_t integer_scalar(const Tensor& tensor) {
  if (tensor.size() != 1) {
    throw_error(ErrorKind::model, "expected one number, got a tensor of shape {}", to_string(tensor.shape()));
  }
  std::int64_t result = 0;
  const bool numeric = visit_arithmetic(tensor.dtype(), [&]<class T>() {
    const T element = tensor.data<T>()[0];
    if constexpr (std::is_integral_v<T>) {
      if constexpr (std::is_same_v<T, std::uint64_t>) {
        if (element > static_cast<std::uint64_t>(INT64_MAX)) {
          throw_error(ErrorKind::model, "number {} does not fit 64 signed bits", element);
        }
      }
      result = static_cast<std::int64_t>(element);
    } else {
      const auto number = static_cast<double>(static_cast<Compute<T>>(element));
      if (!(std::abs(number) < 0x1p63)) throw_error(ErrorKind::model, "number {} is not an integer", number);
      result = static_cast<std::int64_t>(number);
    }
  });
  if (!numeric) throw_error(ErrorKind::model, "expected a number, got type {}", to_string(tensor.dtype()));
  return result;
}

std::int64_t add_dims(std::int64_t a, std::int64_t b, const char* what) {
  if (a == kUnknownDim || b == kUnknownDim) return kUnknownDim;
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) throw_error(ErrorKind::limit, "{} overflows: {} + {}", what, a, b);
  return sum;
}

std::int64_t multiply_dims(std::int64_t a, std::int64_t b, const char* what) {
  if (a == 0 || b == 0) return 0;
  if (a == kUnknownDim || b == kUnknownDim) return kUnknownDim;
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) throw_error(ErrorKind::limit, "{} overflows: {} x {}", what, a, b);
  return product;
}

Shape reshape_target(const Shape& input, std::span<const std::int64_t> target, bool allow_zero) {
  Shape result(target.begin(), target.end());
  std::optional<std::size_t> open;
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (target[i] == -1) {
      if (open) throw_error(ErrorKind::model, "the new shape has more than one -1");
      open = i;
    } else if (target[i] < -1) {
      throw_error(ErrorKind::model, "the new shape has dimension {}", target[i]);
    } else if (target[i] == 0 && !allow_zero) {
      if (i >= input.size()) {
        throw_error(ErrorKind::model, "the new shape copies dimension {} of an input of rank {}", i, input.size());
      }
      result[i] = input[i];
    }
  }
  if (open && allow_zero && std::find(target.begin(), target.end(), 0) != target.end()) {
    throw_error(ErrorKind::model, "the new shape has both 0 and -1 while allowzero is set");
  }
  // Dimensions that are copied cancel on both sides, so that they may be unknown.
  std::int64_t from = 1;
  std::int64_t to = 1;
  for (std::size_t i = 0; i < input.size(); ++i) {
    const bool copied = !allow_zero && i < target.size() && target[i] == 0 && input[i] == kUnknownDim;
    if (!copied) from = multiply_dims(from, input[i], "the number of elements");
  }
  for (std::size_t i = 0; i < result.size(); ++i) {
    const bool copied = !allow_zero && target[i] == 0 && input[i] == kUnknownDim;
    if (!copied && !(open && *open == i)) to = multiply_dims(to, result[i], "the number of elements");
  }
  if (open) {
    if (from == kUnknownDim || to == kUnknownDim) return result;
    if (to == 0) {
      if (from != 0) {
        throw_error(ErrorKind::model, "shape {} cannot become {}", to_string(input),
                    to_string(Shape(target.begin(), target.end())));
      }
      result[*open] = 0;
      return result;
    }
    if (from % to != 0) {
      throw_error(ErrorKind::model, "shape {} cannot become {}: {} elements are not a multiple of {}", to_string(input),
                  to_string(Shape(target.begin(), target.end())), from, to);
    }
    result[*open] = from / to;
  } else if (from != kUnknownDim && to != kUnknownDim && from != to) {
    throw_error(ErrorKind::model, "shape {} cannot become {}: {} and {} elements", to_string(input), to_string(result),
                from, to);
  }
  return result;
}

SliceRange slice_range(std::int64_t dim, std::int64_t start, std::int64_t end, std::int64_t step) {
  if (step == 0) throw_error(ErrorKind::model, "slice step is 0");
  step = std::max(step, -INT64_MAX);  // so that it can be negated
  if (start < 0) start += dim;
  if (end < 0) end += dim;
  SliceRange range;
  range.step = step;
  if (step > 0) {
    start = std::clamp<std::int64_t>(start, 0, dim);
    end = std::clamp<std::int64_t>(end, 0, dim);
    range.count = end > start ? (end - start - 1) / step + 1 : 0;
  } else {
    start = std::clamp<std::int64_t>(start, -1, dim - 1);
    end = std::clamp<std::int64_t>(end, -1, dim - 1);
    range.count = start > end ? (start - end - 1) / -step + 1 : 0;
  }
  range.start = start;
  return range;
}

std::vector<SliceRange> slice_ranges(const Shape& shape, std::span<const std::int64_t> starts,
                                     std::span<const std::int64_t> ends, const OptionalIntegers& axes,
                                     const OptionalIntegers& steps) {
  const std::size_t count = starts.size();
  if (ends.size() != count || (axes && axes->size() != count) || (steps && steps->size() != count)) {
    throw_error(ErrorKind::model, "slice starts, ends, axes and steps differ in length");
  }
  if (!axes && count > shape.size()) {
    throw_error(ErrorKind::model, "{} axes are sliced, the input has {}", count, shape.size());
  }
  std::vector<SliceRange> ranges(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) ranges[i].count = shape[i];
  const std::vector<std::int64_t> sliced = axes ? distinct_axes(*axes, shape.size()) : std::vector<std::int64_t>{};
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t axis = axes ? static_cast<std::size_t>(sliced[i]) : i;
    const std::int64_t step = steps ? (*steps)[i] : 1;
    if (shape[axis] != kUnknownDim) {
      ranges[axis] = slice_range(shape[axis], starts[i], ends[i], step);
      continue;
    }
    if (step == 0) throw_error(ErrorKind::model, "slice step is 0");
    const bool whole = step == 1 && starts[i] == 0 && ends[i] == INT64_MAX;
    const bool none = step > 0 && starts[i] >= 0 && ends[i] >= 0 && ends[i] <= starts[i];
    ranges[axis] = {0, 1, none && !whole ? 0 : kUnknownDim};
  }
  return ranges;
}

Padding padding_of(std::size_t rank, std::span<const std::int64_t> pads, const OptionalIntegers& axes) {
  std::vector<std::int64_t> padded;
  if (axes) {
    padded = distinct_axes(*axes, rank);
  } else {
    for (std::size_t i = 0; i < rank; ++i) padded.push_back(static_cast<std::int64_t>(i));
  }
  if (pads.size() != 2 * padded.size()) {
    throw_error(ErrorKind::model, "{} pads are given for {} axes; two per axis are needed", pads.size(), padded.size());
  }
  Padding result{std::vector<std::int64_t>(rank, 0), std::vector<std::int64_t>(rank, 0)};
  for (std::size_t i = 0; i < padded.size(); ++i) {
    result.before[static_cast<std::size_t>(padded[i])] = pads[i];
    result.after[static_cast<std::size_t>(padded[i])] = pads[i + padded.size()];
  }
  return result;
}

std::vector<std::int64_t> split_sizes(std::int64_t dim, std::size_t parts, const OptionalIntegers& sizes, bool uneven) {
  if (parts == 0) throw_error(ErrorKind::model, "split into 0 parts");
  const auto count = static_cast<std::int64_t>(parts);
  if (sizes) {
    if (sizes->size() != parts) {
      throw_error(ErrorKind::model, "{} split sizes are given for {} outputs", sizes->size(), parts);
    }
    std::int64_t total = 0;
    for (const std::int64_t size : *sizes) {
      if (size < 0) throw_error(ErrorKind::model, "split size {} is negative", size);
      total = add_dims(total, size, "the sum of split sizes");
    }
    if (dim != kUnknownDim && total != dim) {
      throw_error(ErrorKind::model, "split sizes add up to {}, the axis has {} elements", total, dim);
    }
    return *sizes;
  }
  if (dim == kUnknownDim) return std::vector<std::int64_t>(parts, kUnknownDim);
  if (dim % count == 0) return std::vector<std::int64_t>(parts, dim / count);
  if (!uneven) throw_error(ErrorKind::model, "an axis of {} elements does not split into {} equal parts", dim, count);
  const std::int64_t size = dim / count + 1;
  std::vector<std::int64_t> result(parts, size);
  result.back() = dim - size * (count - 1);
  if (result.back() < 0) {
    throw_error(ErrorKind::model, "an axis of {} elements does not split into {} parts of {}", dim, count, size);
  }
  return result;
}

std::int64_t range_length(const Tensor& start, const Tensor& limit, const Tensor& delta) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  if (start.size() != 1 || limit.size() != 1 || delta.size() != 1) {
    throw_error(ErrorKind::model, "start, limit and delta must be scalars");
  }
  if (start.dtype() != limit.dtype() || start.dtype() != delta.dtype()) {
    throw_error(ErrorKind::model, "start, limit and delta are of different types");
  }
  std::int64_t length = 0;
  const bool known = visit_types<float, double, Float16, BFloat16, std::int16_t, std::int32_t, std::int64_t>(
      start.dtype(), [&]<class T>() {
        const T first = start.data<T>()[0];
        const T last = limit.data<T>()[0];
        const T step = delta.data<T>()[0];
        if constexpr (std::is_integral_v<T>) {
          if (step == 0) throw_error(ErrorKind::model, "delta is 0");
          // 128 bits: the distance of two 64-bit numbers does not fit 64.
          __extension__ using Wide = __int128;
          const Wide distance = step > 0 ? Wide(last) - Wide(first) : Wide(first) - Wide(last);
          const Wide stride = step > 0 ? Wide(step) : -Wide(step);
          const Wide count = distance <= 0 ? 0 : (distance - 1) / stride + 1;
          if (count > kMost) throw_error(ErrorKind::limit, "the range has more than 2^40 elements");
          length = static_cast<std::int64_t>(count);
        } else {
          const auto a = static_cast<double>(static_cast<Compute<T>>(first));
          const auto b = static_cast<double>(static_cast<Compute<T>>(last));
          const auto s = static_cast<double>(static_cast<Compute<T>>(step));
          if (s == 0) throw_error(ErrorKind::model, "delta is 0");
          const double count = std::ceil((b - a) / s);
          if (std::isnan(count)) throw_error(ErrorKind::model, "the range from {} to {} by {} has no length", a, b, s);
          if (count > static_cast<double>(kMost)) {
            throw_error(ErrorKind::limit, "the range has more than 2^40 elements");
          }
          length = count > 0 ? static_cast<std::int64_t>(count) : 0;
        }
      });
  if (!known) throw_error(ErrorKind::model, "a range of type {} is not defined", to_string(start.dtype()));
  return length;
}

}  // namespace sparse_run
