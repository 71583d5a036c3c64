// Element by element comparison with tolerances.
#include "cli/comparison.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>

namespace sparse_run::cli {

namespace {

/// "[2, 0, 5]" of a row-major position.
std::string position_of(const Tensor& tensor, std::int64_t index, std::int64_t first_row) {
  std::vector<std::int64_t> coordinates(tensor.rank());
  for (std::size_t d = tensor.rank(); d-- > 0;) {
    coordinates[d] = index % tensor.shape()[d];
    index /= tensor.shape()[d];
  }
  if (!coordinates.empty()) coordinates.front() += first_row;
  return fmt::format("{}", coordinates);
}

template <class T>
constexpr bool kIsComplex = std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>;

/// A value in the type that differences are computed in: integers stay what they are, since 64 bits fit no float.
template <class T>
auto widened(T value) {
  if constexpr (kIsComplex<T>) {
    return std::complex<double>(value);
  } else if constexpr (std::is_integral_v<T>) {
    return value;
  } else {
    return static_cast<double>(static_cast<Compute<T>>(value));
  }
}

template <class T>
double distance(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    const auto x = static_cast<std::uint64_t>(a);
    const auto y = static_cast<std::uint64_t>(b);
    return static_cast<double>(a > b ? x - y : y - x);  // exact modulo 2^64, and the true distance fits
  } else {
    return std::abs(a - b);
  }
}

template <class T>
double magnitude_of(T value) {
  if constexpr (std::is_integral_v<T>) {
    return std::abs(static_cast<double>(value));
  } else {
    return std::abs(value);
  }
}

template <class T>
bool is_nan(T) {
  return false;
}
bool is_nan(double value) { return std::isnan(value); }
bool is_nan(const std::complex<double>& value) { return std::isnan(value.real()) || std::isnan(value.imag()); }

template <class T>
std::string text_of(const T& value) {
  if constexpr (kIsComplex<T>) {
    return fmt::format("{}{:+}i", value.real(), value.imag());
  } else if constexpr (std::is_same_v<T, std::string>) {
    return '\'' + value + '\'';
  } else if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return fmt::format("{}", static_cast<float>(value));
  } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    return fmt::format("{}", +value);
  } else {
    return fmt::format("{}", value);
  }
}

/// Floats of any width as doubles, for comparisons across element types.
Tensor as_doubles(const Tensor& tensor) {
  Tensor doubles = Tensor::allocate(DType::f64, tensor.shape());
  visit_float(tensor.dtype(), [&]<class T>() {
    const auto from = tensor.data<T>();
    std::transform(from.begin(), from.end(), doubles.data<double>().begin(), [](T x) { return widened(x); });
  });
  return doubles;
}

}  // namespace

void Comparison::fail(std::string reason) {
  if (reason_.empty()) reason_ = std::move(reason);
}

void Comparison::note(double absolute, double relative, bool matches, const Tensor& tensor, std::int64_t index,
                      std::int64_t first_row, const std::string& values) {
  largest_absolute_ = std::max(largest_absolute_, absolute);
  largest_relative_ = std::max(largest_relative_, relative);
  if (matches) return;
  if (mismatches_++ == 0) {
    first_mismatch_ = fmt::format("first at {}: {}", position_of(tensor, index, first_row), values);
  }
}

void Comparison::add_tensor(const Tensor& actual, const Tensor& expected, bool any_float, std::int64_t first_row) {
  if (actual.shape() != expected.shape()) {
    fail(fmt::format("its shape is {}, expected {}", to_string(actual.shape()), to_string(expected.shape())));
    return;
  }
  if (actual.dtype() != expected.dtype()) {
    if (any_float && is_float(actual.dtype()) && is_float(expected.dtype())) {
      add_tensor(as_doubles(actual), as_doubles(expected), false, first_row);
    } else {
      fail(fmt::format("its type is {}, expected {}", to_string(actual.dtype()), to_string(expected.dtype())));
    }
    return;
  }
  elements_ += actual.size();
  const auto compare = [&]<class T>() {
    const auto a = actual.data<T>();
    const auto e = expected.data<T>();
    for (std::size_t i = 0; i < a.size(); ++i) {
      if constexpr (std::is_same_v<T, std::string>) {
        if (a[i] != e[i]) {
          note(0, 0, false, actual, static_cast<std::int64_t>(i), first_row,
               fmt::format("{}, expected {}", text_of(a[i]), text_of(e[i])));
        }
      } else {
        const auto x = widened(a[i]);
        const auto y = widened(e[i]);
        if (x == y || (is_nan(x) && is_nan(y))) continue;
        const double difference = distance(x, y);
        const double magnitude = magnitude_of(y);
        const double error = std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
        const double relative = magnitude > 0 ? error / magnitude : std::numeric_limits<double>::infinity();
        const bool matches = std::isfinite(error) && error <= tolerance_.absolute + tolerance_.relative * magnitude;
        const auto index = static_cast<std::int64_t>(i);
        const bool first = !matches && mismatches_ == 0;
        note(error, std::isnan(relative) ? std::numeric_limits<double>::infinity() : relative, matches, actual, index,
             first_row, first ? fmt::format("{}, expected {}", text_of(a[i]), text_of(e[i])) : std::string());
      }
    }
  };
  const bool known = visit_arithmetic(actual.dtype(), compare) ||
                     visit_types<std::complex<float>, std::complex<double>, std::string>(actual.dtype(), compare);
  if (known) return;
  if (actual.bytes() != 0 && std::memcmp(actual.raw(), expected.raw(), actual.bytes()) != 0) {
    fail(fmt::format("its bytes differ ({} values are compared exactly)", to_string(actual.dtype())));
  }
}

void Comparison::add(const Value& actual, const Value& expected, bool any_float, std::int64_t first_row) {
  if (actual.kind != expected.kind) {
    fail(fmt::format("it is {}, expected {}", to_string(Type::of(actual)), to_string(Type::of(expected))));
  } else if (actual.is_tensor()) {
    add_tensor(actual.tensor, expected.tensor, any_float, first_row);
  } else if (actual.elements.size() != expected.elements.size()) {
    fail(fmt::format("it holds {} values, expected {}", actual.elements.size(), expected.elements.size()));
  } else {
    for (std::size_t i = 0; i < actual.elements.size(); ++i) add(actual.elements[i], expected.elements[i], any_float);
  }
}

std::string Comparison::line() const {
  std::string line = fmt::format("{:<8}  {}: ", passed() ? "ok" : "MISMATCH", name_);
  if (!reason_.empty()) return line + reason_;
  line += fmt::format("largest error {:.3g} absolute, {:.3g} relative", largest_absolute_, largest_relative_);
  if (mismatches_ > 0) {
    line += fmt::format("; {} of {} elements beyond rtol {:g}, atol {:g}; {}", mismatches_, elements_,
                        tolerance_.relative, tolerance_.absolute, first_mismatch_);
  }
  return line;
}

}  // namespace sparse_run::cli
