// Moving elements of any type without looking at them, and walking over positions.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "graph/ir/value.hpp"

namespace sparse_run::reference {

/// Copies elements from one tensor to another of the same type, strings included. Both must outlive it.
class ElementMover {
 public:
  ElementMover(const Tensor& from, Tensor& to)
      : from_(from.raw()), to_(to.raw()), width_(element_size(from.dtype())), strings_(from.dtype() == DType::string) {
    if (from.dtype() != to.dtype()) {
      throw_error(ErrorKind::model, "elements of type {} cannot be stored as {}", to_string(from.dtype()),
                  to_string(to.dtype()));
    }
  }

  /// `count` elements from position `from` on to position `to` on.
  void move(std::int64_t from, std::int64_t to, std::int64_t count = 1) const {
    if (strings_) {
      const auto* source = static_cast<const std::string*>(from_) + from;
      std::copy(source, source + count, static_cast<std::string*>(to_) + to);
    } else if (count > 0) {
      std::memcpy(static_cast<char*>(to_) + static_cast<std::size_t>(to) * width_,
                  static_cast<const char*>(from_) + static_cast<std::size_t>(from) * width_,
                  static_cast<std::size_t>(count) * width_);
    }
  }

 private:
  const void* from_;
  void* to_;
  std::size_t width_;
  bool strings_;
};

/// A value that may outlive the operands of its kernel: tensors that merely view memory of others are copied.
Value retained(const Value& value);

/// Calls visit(index, linear) for every position of `shape` in row-major order; `index` is a vector of coordinates.
template <class Visit>
void for_each_position(const Shape& shape, Visit&& visit) {
  const std::int64_t count = element_count(shape);
  std::vector<std::int64_t> index(shape.size(), 0);
  for (std::int64_t linear = 0; linear < count; ++linear) {
    visit(static_cast<const std::vector<std::int64_t>&>(index), linear);
    for (std::size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

/// Sum of coordinates times strides: the linear position.
inline std::int64_t position_of(std::span<const std::int64_t> index, std::span<const std::int64_t> strides) {
  std::int64_t position = 0;
  for (std::size_t d = 0; d < index.size(); ++d) position += index[d] * strides[d];
  return position;
}

/// A scalar of `dtype` that is zero, false or the empty string.
inline Tensor zero_scalar(DType dtype) {
  Tensor zero = Tensor::allocate(dtype, {});
  if (dtype != DType::string) std::memset(zero.raw(), 0, zero.bytes());
  return zero;
}

/// Sets every element to zero, false or the empty string.
inline void set_zero(Tensor& tensor) {
  if (tensor.dtype() == DType::string) {
    const auto elements = tensor.data<std::string>();
    std::fill(elements.begin(), elements.end(), std::string());
  } else if (tensor.size() != 0) {
    std::memset(tensor.raw(), 0, tensor.bytes());
  }
}

/// An index in [-dim, dim) made non-negative; Error(input) when it is outside.
inline std::int64_t checked_index(std::int64_t index, std::int64_t dim) {
  if (index < -dim || index >= dim) {
    throw_error(ErrorKind::input, "index {} is outside [-{}, {})", index, dim, dim);
  }
  return index < 0 ? index + dim : index;
}

/// The product of dimensions [first, last).
inline std::int64_t extent(const Shape& shape, std::size_t first, std::size_t last) {
  return element_count(std::span(shape).subspan(first, last - first));
}

/// Keys that compare as the elements do: equal where they are equal, NaN above everything, strings by bytes.
/// Error(unsupported) for types without an order.
std::vector<std::uint64_t> order_keys(const Tensor& tensor);

/// A function (at, from) that combines updates[from] into target[at]: none replaces, add and mul wrap around for
/// integers (or and and for booleans), min and max keep NaN. Error(unsupported) for types it is not defined for.
std::function<void(std::int64_t, std::int64_t)> combiner(const std::string& reduction, const Tensor& updates,
                                                         Tensor& target);

}  // namespace sparse_run::reference
