// Conversions between tensors and plain vectors of numbers.
#include "cpu/reference/numbers.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace sparse_run::reference {

namespace {

[[noreturn]] void refuse(DType dtype) {
  throw_error(ErrorKind::unsupported, "element type {} has no kernel here", to_string(dtype));
}

template <class T>
T from_double(double value) noexcept {
  if constexpr (std::is_same_v<T, bool>) {
    return value != 0;
  } else if constexpr (std::is_integral_v<T>) {
    if (std::isnan(value)) return 0;
    // The upper limits of 64-bit types are not doubles: compare with the power of two just above them.
    constexpr double beyond = 2.0 * static_cast<double>(std::numeric_limits<T>::max() / 2 + 1);
    if (value >= beyond) return std::numeric_limits<T>::max();
    if (value <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
    return static_cast<T>(value);
  } else if constexpr (std::is_same_v<T, double>) {
    return value;
  } else {
    return T(static_cast<float>(value));
  }
}

template <class T>
double as_double(T value) noexcept {
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<double>(value);
  } else {
    return static_cast<double>(static_cast<float>(value));
  }
}

}  // namespace

std::vector<double> to_doubles(const Tensor& tensor) {
  std::vector<double> values(static_cast<std::size_t>(tensor.size()));
  const bool known = visit_arithmetic(tensor.dtype(), [&]<class T>() {
    const auto source = tensor.data<T>();
    std::transform(source.begin(), source.end(), values.begin(), [](T value) { return as_double(value); });
  });
  if (!known) refuse(tensor.dtype());
  return values;
}

std::vector<std::int64_t> to_integers(const Tensor& tensor) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(tensor.size()));
  const bool known = visit_types<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                                 std::uint64_t, std::int64_t, bool>(tensor.dtype(), [&]<class T>() {
    const auto source = tensor.data<T>();
    std::transform(source.begin(), source.end(), values.begin(),
                   [](T value) { return static_cast<std::int64_t>(value); });
  });
  if (!known) refuse(tensor.dtype());
  return values;
}

void store(Tensor& tensor, std::span<const double> values) {
  require(static_cast<std::int64_t>(values.size()) == tensor.size(), "store: value count differs from the tensor's");
  const bool known = visit_arithmetic(tensor.dtype(), [&]<class T>() {
    std::transform(values.begin(), values.end(), tensor.data<T>().begin(),
                   [](double value) { return from_double<T>(value); });
  });
  if (!known) refuse(tensor.dtype());
}

void store_integers(Tensor& tensor, std::span<const std::int64_t> values) {
  require(static_cast<std::int64_t>(values.size()) == tensor.size(), "store: value count differs from the tensor's");
  const bool known = visit_types<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                                 std::uint64_t, std::int64_t>(tensor.dtype(), [&]<class T>() {
    std::transform(values.begin(), values.end(), tensor.data<T>().begin(),
                   [](std::int64_t value) { return static_cast<T>(value); });
  });
  if (!known) refuse(tensor.dtype());
}

void gather_elements(const Tensor& input, std::span<const std::int64_t> source, Tensor& output, double fill) {
  require(static_cast<std::int64_t>(source.size()) == output.size(), "gather_elements: count differs");
  if (input.dtype() == DType::string) {
    const auto from = input.data<std::string>();
    const auto to = output.data<std::string>();
    for (std::size_t i = 0; i < source.size(); ++i) {
      to[i] = source[i] < 0 ? std::string() : from[static_cast<std::size_t>(source[i])];
    }
    return;
  }
  const std::size_t size = element_size(input.dtype());
  if (size == 0) refuse(input.dtype());
  std::vector<std::byte> filler(size);
  if (fill != 0) {
    Tensor one = Tensor::allocate(output.dtype(), {});
    store(one, std::span(&fill, 1));
    std::memcpy(filler.data(), one.raw(), size);
  }
  const auto* from = static_cast<const std::byte*>(input.raw());
  auto* to = static_cast<std::byte*>(output.raw());
  for (std::size_t i = 0; i < source.size(); ++i) {
    const std::byte* element = source[i] < 0 ? filler.data() : from + static_cast<std::size_t>(source[i]) * size;
    std::memcpy(to + i * size, element, size);
  }
}

bool next_index(std::span<std::int64_t> index, std::span<const std::int64_t> shape) noexcept {
  for (std::size_t axis = index.size(); axis-- > 0;) {
    if (++index[axis] < shape[axis]) return true;
    index[axis] = 0;
  }
  return false;
}

bool has_no_elements(std::span<const std::int64_t> shape) noexcept {
  return std::find(shape.begin(), shape.end(), 0) != shape.end();
}

}  // namespace sparse_run::reference
