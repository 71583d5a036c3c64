// Reference kernels: arithmetic, comparison, logic and bit operators over broadcast operands.
#include <bit>
#include <cmath>
#include <cstring>

#include "cpu/reference/broadcast.hpp"
#include "cpu/reference/subfamilies.hpp"
#include "cpu/reference/wide.hpp"

namespace sparse_run::reference {

namespace {

/// out[i] = function(a[i], b[i]) with both operands broadcast; computed in Wide<T>.
template <class T, class R>
void map_pairs(const Tensor& a, const Tensor& b, Tensor& out, R (*function)(Wide<T>, Wide<T>)) {
  BroadcastIterator left(a.shape(), out.shape());
  BroadcastIterator right(b.shape(), out.shape());
  const auto x = a.data<T>();
  const auto y = b.data<T>();
  if constexpr (std::is_same_v<R, bool>) {
    for (bool& element : out.data<bool>()) {
      element = function(widen(x[*left]), widen(y[*right]));
      ++left;
      ++right;
    }
  } else {
    for (T& element : out.data<T>()) {
      element = narrow<T>(function(widen(x[*left]), widen(y[*right])));
      ++left;
      ++right;
    }
  }
}

/// An operator whose operands and result share one type. Function: a stateless generic lambda over wide values.
template <auto Function>
void binary(Context& context) {
  const Tensor& a = context.input(0);
  visit_numbers(a.dtype(), [&]<class T>() { map_pairs<T, Wide<T>>(a, context.input(1), context.output(0), Function); });
}

template <auto Function>
void compare(Context& context) {
  const Tensor& a = context.input(0);
  visit_numbers(a.dtype(), [&]<class T>() { map_pairs<T, bool>(a, context.input(1), context.output(0), Function); });
}

/// Wraps around instead of overflowing.
template <class W, class Function>
W wrapping(W a, W b, Function function) {
  if constexpr (std::is_same_v<W, double>) {
    return function(a, b);
  } else {
    return static_cast<W>(function(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b)));
  }
}

template <class W>
W add(W a, W b) {
  return wrapping(a, b, [](auto x, auto y) { return x + y; });
}
template <class W>
W subtract(W a, W b) {
  return wrapping(a, b, [](auto x, auto y) { return x - y; });
}
template <class W>
W multiply(W a, W b) {
  return wrapping(a, b, [](auto x, auto y) { return x * y; });
}

template <class W>
void require_divisor(W divisor) {
  if (divisor == 0) throw_error(ErrorKind::input, "integer division by zero");
}

/// Rounds towards zero on integers.
template <class W>
W divide(W a, W b) {
  if constexpr (!std::is_same_v<W, double>) {
    require_divisor(b);
    if constexpr (std::is_signed_v<W>) {
      if (b == -1) return subtract<W>(0, a);  // the most negative number wraps
    }
  }
  return a / b;
}

/// C's remainder: the sign is the dividend's.
template <class W>
W remainder_of_truncation(W a, W b) {
  if constexpr (std::is_same_v<W, double>) {
    return std::fmod(a, b);
  } else {
    require_divisor(b);
    if constexpr (std::is_signed_v<W>) {
      if (b == -1) return 0;
    }
    return a % b;
  }
}

/// Python's remainder: the sign is the divisor's.
template <class W>
W remainder_of_floor(W a, W b) {
  const W rest = remainder_of_truncation(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) return rest + b;
  return rest;
}

void mod(Context& context) {
  if (context.node().int_or("fmod", 0) != 0) {
    binary<[](auto a, auto b) { return remainder_of_truncation(a, b); }>(context);
  } else {
    binary<[](auto a, auto b) { return remainder_of_floor(a, b); }>(context);
  }
}

/// Exact power of an integer, wrapping; a negative exponent gives the truncated reciprocal.
template <class W>
W integer_power(W base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 1) return 1;
    if constexpr (std::is_signed_v<W>) {
      if (base == -1) return exponent % 2 == 0 ? 1 : -1;
    }
    if (base == 0) throw_error(ErrorKind::input, "integer 0 raised to the negative power {}", exponent);
    return 0;
  }
  W result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result = multiply(result, base);
    base = multiply(base, base);
  }
  return result;
}

void pow(Context& context) {
  const Tensor& base = context.input(0);
  const Tensor& exponent = context.input(1);
  Tensor& out = context.output(0);
  BroadcastIterator left(base.shape(), out.shape());
  BroadcastIterator right(exponent.shape(), out.shape());
  if (is_float(base.dtype()) || is_float(exponent.dtype())) {
    const std::vector<double> x = load_doubles(base);
    const std::vector<double> y = load_doubles(exponent);
    std::vector<double> result(static_cast<std::size_t>(out.size()));
    for (double& element : result) {
      element = std::pow(x[*left], y[*right]);
      ++left;
      ++right;
    }
    return store_doubles(result, out);
  }
  std::vector<std::int64_t> powers(static_cast<std::size_t>(exponent.size()));
  visit_numbers(exponent.dtype(), [&]<class T>() {
    const auto elements = exponent.data<T>();
    for (std::size_t i = 0; i < powers.size(); ++i) {
      const auto wide = static_cast<std::int64_t>(widen(elements[i]));
      powers[i] = std::is_unsigned_v<T> && wide < 0 ? std::numeric_limits<std::int64_t>::max() : wide;
    }
  });
  visit_numbers(base.dtype(), [&]<class T>() {
    if constexpr (!is_real<T>) {
      const auto x = base.data<T>();
      for (T& element : out.data<T>()) {
        element = narrow<T>(integer_power(widen(x[*left]), powers[*right]));
        ++left;
        ++right;
      }
    }
  });
}

/// One of the operands is NaN: the result is, too.
template <class W>
W smaller(W a, W b) {
  return a != a || a < b ? a : b;
}
template <class W>
W larger(W a, W b) {
  return a != a || a > b ? a : b;
}

/// Folds any number of operands; Mean divides by their number.
template <auto Function>
void fold(Context& context) {
  const std::size_t count = context.input_count();
  Tensor& out = context.output(0);
  const bool mean = context.node().op == "Mean";
  visit_numbers(context.input(0).dtype(), [&]<class T>() {
    std::vector<BroadcastIterator> positions;
    std::vector<std::span<const T>> operands;
    for (std::size_t i = 0; i < count; ++i) {
      positions.emplace_back(context.input(i).shape(), out.shape());
      operands.push_back(context.input(i).data<T>());
    }
    for (T& element : out.data<T>()) {
      Wide<T> value = widen(operands[0][*positions[0]]);
      for (std::size_t i = 1; i < count; ++i) value = Function(value, widen(operands[i][*positions[i]]));
      if (mean) value /= static_cast<Wide<T>>(count);
      element = narrow<T>(value);
      for (BroadcastIterator& position : positions) ++position;
    }
  });
}

void equal(Context& context) {
  const Tensor& a = context.input(0);
  const Tensor& b = context.input(1);
  if (a.dtype() != DType::string) return compare<[](auto x, auto y) { return x == y; }>(context);
  Tensor& out = context.output(0);
  BroadcastIterator left(a.shape(), out.shape());
  BroadcastIterator right(b.shape(), out.shape());
  for (bool& element : out.data<bool>()) {
    element = a.data<std::string>()[*left] == b.data<std::string>()[*right];
    ++left;
    ++right;
  }
}

template <class W>
W shift_left(W a, W b) {
  if constexpr (std::is_same_v<W, std::uint64_t>) {
    return b >= 64 ? 0 : a << b;
  } else {
    return a;
  }
}
template <class W>
W shift_right(W a, W b) {
  if constexpr (std::is_same_v<W, std::uint64_t>) {
    return b >= 64 ? 0 : a >> b;
  } else {
    return a;
  }
}

void bit_shift(Context& context) {
  if (context.node().get<std::string>("direction") == "LEFT") {
    binary<[](auto a, auto b) { return shift_left(a, b); }>(context);
  } else {
    binary<[](auto a, auto b) { return shift_right(a, b); }>(context);
  }
}

/// Bitwise operators, and logic ones on bool: a float never gets here, type inference refuses it.
template <auto Function>
void bitwise(Context& context) {
  binary<[](auto a, auto b) {
    if constexpr (std::is_same_v<decltype(a), double>) {
      return a;
    } else {
      return static_cast<decltype(a)>(Function(a, b));
    }
  }>(context);
}

/// Copies elements whatever they are: only their width matters.
template <class T>
void select(const Tensor& condition, const void* a, const Shape& a_shape, const void* b, const Shape& b_shape,
            void* result, const Shape& shape) {
  BroadcastIterator which(condition.shape(), shape);
  BroadcastIterator left(a_shape, shape);
  BroadcastIterator right(b_shape, shape);
  const auto chosen = condition.data<bool>();
  const std::int64_t count = element_count(shape);
  for (std::int64_t i = 0; i < count; ++i) {
    static_cast<T*>(result)[i] = chosen[*which] ? static_cast<const T*>(a)[*left] : static_cast<const T*>(b)[*right];
    ++which;
    ++left;
    ++right;
  }
}

void where(Context& context) {
  const Tensor& condition = context.input(0);
  const Tensor& a = context.input(1);
  const Tensor& b = context.input(2);
  Tensor& out = context.output(0);
  const bool done = visit_types<std::string, float, double, Float16, BFloat16, std::uint8_t, std::int8_t, std::uint16_t,
                                std::int16_t, std::uint32_t, std::int32_t, std::uint64_t, std::int64_t, bool,
                                std::complex<float>, std::complex<double>>(out.dtype(), [&]<class T>() {
    select<T>(condition, a.raw(), a.shape(), b.raw(), b.shape(), out.raw(), out.shape());
  });
  if (!done) throw_error(ErrorKind::unsupported, "element type {} is not supported", to_string(out.dtype()));
}

template <class W>
W scale_negative(W x, W slope) {
  return x < 0 ? multiply(x, slope) : x;
}

}  // namespace

void register_arithmetic(Table& table) {
  table.add("Add", binary<[](auto a, auto b) { return add(a, b); }>);
  table.add("Sub", binary<[](auto a, auto b) { return subtract(a, b); }>);
  table.add("Mul", binary<[](auto a, auto b) { return multiply(a, b); }>);
  table.add("Div", binary<[](auto a, auto b) { return divide(a, b); }>);
  table.add("Mod", mod);
  table.add("Pow", pow);
  table.add("PRelu", binary<[](auto x, auto slope) { return scale_negative(x, slope); }>);
  table.add("Min", fold<[](auto a, auto b) { return smaller(a, b); }>);
  table.add("Max", fold<[](auto a, auto b) { return larger(a, b); }>);
  table.add("Sum", fold<[](auto a, auto b) { return add(a, b); }>);
  table.add("Mean", fold<[](auto a, auto b) { return add(a, b); }>);
  table.add("Equal", equal);
  table.add("Less", compare<[](auto a, auto b) { return a < b; }>);
  table.add("Greater", compare<[](auto a, auto b) { return b < a; }>);
  table.add("LessOrEqual", compare<[](auto a, auto b) { return a <= b; }>);
  table.add("GreaterOrEqual", compare<[](auto a, auto b) { return a >= b; }>);
  table.add("And", bitwise<[](auto a, auto b) { return a & b; }>);
  table.add("Or", bitwise<[](auto a, auto b) { return a | b; }>);
  table.add("Xor", bitwise<[](auto a, auto b) { return a ^ b; }>);
  table.add("BitwiseAnd", bitwise<[](auto a, auto b) { return a & b; }>);
  table.add("BitwiseOr", bitwise<[](auto a, auto b) { return a | b; }>);
  table.add("BitwiseXor", bitwise<[](auto a, auto b) { return a ^ b; }>);
  table.add("BitShift", bit_shift);
  table.add("Where", where);
}

}  // namespace sparse_run::reference
