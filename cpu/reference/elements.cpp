// Orders and combinations of elements, for every type that has them.
#include "cpu/reference/elements.hpp"

#include <bit>
#include <cmath>

namespace sparse_run::reference {

Value retained(const Value& value) {
  Value result = value;
  if (value.is_tensor() && !value.absent() && value.tensor.owner() == nullptr) result.tensor = value.tensor.clone();
  for (Value& element : result.elements) element = retained(element);
  return result;
}

std::vector<std::uint64_t> order_keys(const Tensor& tensor) {
  std::vector<std::uint64_t> keys(static_cast<std::size_t>(tensor.size()));
  if (tensor.dtype() == DType::string) {
    const auto elements = tensor.data<std::string>();
    std::vector<std::string> sorted(elements.begin(), elements.end());
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      keys[i] =
          static_cast<std::uint64_t>(std::lower_bound(sorted.begin(), sorted.end(), elements[i]) - sorted.begin());
    }
    return keys;
  }
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  const bool ordered = visit_arithmetic(tensor.dtype(), [&]<class T>() {
    const auto elements = tensor.data<T>();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        if constexpr (std::is_signed_v<T>) {
          keys[i] = static_cast<std::uint64_t>(static_cast<std::int64_t>(elements[i])) ^ kSign;
        } else {
          keys[i] = static_cast<std::uint64_t>(elements[i]);
        }
      } else {
        // Adding zero turns -0 into 0, which equals it.
        const double number = static_cast<double>(static_cast<Compute<T>>(elements[i])) + 0.0;
        const auto bits = std::bit_cast<std::uint64_t>(number);
        keys[i] = std::isnan(number) ? ~std::uint64_t{0} : (bits & kSign) != 0 ? ~bits : bits | kSign;
      }
    }
  });
  if (!ordered)
    throw_error(ErrorKind::unsupported, "elements of type {} have no order here", to_string(tensor.dtype()));
  return keys;
}

namespace {

enum class Reduction { add, mul, min, max };

template <class T>
T combine(Reduction reduction, T a, T b) {
  if constexpr (std::is_same_v<T, bool>) {
    return reduction == Reduction::add || reduction == Reduction::max ? (a || b) : (a && b);
  } else if constexpr (std::is_integral_v<T>) {
    switch (reduction) {
      case Reduction::add:
        return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
      case Reduction::mul:
        return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
      case Reduction::min:
        return std::min(a, b);
      case Reduction::max:
        return std::max(a, b);
    }
    return a;
  } else {
    const auto x = static_cast<Compute<T>>(a);
    const auto y = static_cast<Compute<T>>(b);
    switch (reduction) {
      case Reduction::add:
        return static_cast<T>(x + y);
      case Reduction::mul:
        return static_cast<T>(x * y);
      case Reduction::min:
        return std::isnan(y) || y < x ? b : a;
      case Reduction::max:
        return std::isnan(y) || y > x ? b : a;
    }
    return a;
  }
}

}  // namespace

std::function<void(std::int64_t, std::int64_t)> combiner(const std::string& reduction, const Tensor& updates,
                                                         Tensor& target) {
  if (reduction == "none") {
    return [mover = ElementMover(updates, target)](std::int64_t at, std::int64_t from) { mover.move(from, at); };
  }
  Reduction kind = Reduction::add;
  if (reduction == "mul") kind = Reduction::mul;
  if (reduction == "min") kind = Reduction::min;
  if (reduction == "max") kind = Reduction::max;
  std::function<void(std::int64_t, std::int64_t)> result;
  const bool defined = visit_arithmetic(target.dtype(), [&]<class T>() {
    result = [kind, to = target.data<T>(), values = updates.data<T>()](std::int64_t at, std::int64_t from) {
      T& element = to[static_cast<std::size_t>(at)];
      element = combine<T>(kind, element, values[static_cast<std::size_t>(from)]);
    };
  });
  if (!defined) {
    throw_error(ErrorKind::unsupported, "reduction '{}' of elements of type {}", reduction, to_string(target.dtype()));
  }
  return result;
}

}  // namespace sparse_run::reference
