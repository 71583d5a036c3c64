// The oracle computes in the widest type of a kind: double for floats, 64-bit integers for integers and booleans.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "base/dtype.hpp"
#include "graph/ir/tensor.hpp"

namespace sparse_run::reference {

template <class T>
inline constexpr bool is_real =
    std::is_floating_point_v<T> || std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>;

/// double, std::int64_t (signed integers) or std::uint64_t (unsigned integers and bool).
template <class T>
using Wide =
    std::conditional_t<is_real<T>, double, std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>>;

template <class T>
Wide<T> widen(T value) noexcept {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return static_cast<double>(static_cast<float>(value));
  } else {
    return static_cast<Wide<T>>(value);
  }
}

/// Rounds a double to T (through float for the 16-bit floats), keeps the low bits of an integer.
template <class T>
T narrow(Wide<T> value) noexcept {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

/// The integer T nearest to a real number towards zero; its limits beyond them, 0 for NaN.
template <class T>
T truncate_to(double value) noexcept {
  if (value != value) return 0;
  // Both bounds are powers of two, or zero, and thus exact.
  const double upper = std::is_signed_v<T> ? -static_cast<double>(std::numeric_limits<T>::min())
                                           : static_cast<double>(std::numeric_limits<T>::max() / 2 + 1) * 2.0;
  if (value >= upper) return std::numeric_limits<T>::max();
  if (value <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  return static_cast<T>(value);
}

/// `value` rounded to a floating point element type.
double round_to(DType dtype, double value);

/// The elements of a number or bool tensor as doubles. Error(unsupported) for another element type.
std::vector<double> load_doubles(const Tensor& tensor);

/// Writes values into a number or bool tensor: rounded for floats, truncate_to for integers, != 0 for bool.
void store_doubles(std::span<const double> values, Tensor& tensor);

/// Calls visit_arithmetic; Error(unsupported) naming the element type when it is no number and not bool.
template <class Visitor>
void visit_numbers(DType dtype, Visitor&& visitor) {
  if (!visit_arithmetic(dtype, visitor)) {
    throw_error(ErrorKind::unsupported, "element type {} is not supported", to_string(dtype));
  }
}

}  // namespace sparse_run::reference
