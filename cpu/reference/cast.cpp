// Reference kernels: conversions between element types.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "cpu/reference/subfamilies.hpp"
#include "cpu/reference/wide.hpp"

namespace sparse_run::reference {

namespace {

/// Truncates towards zero. Beyond the target's range, which the standard leaves open, i32 and i64 saturate and the
/// others keep the low bits of the 64-bit integer, so that -1 becomes 255 as u8; NaN gives 0.
template <class To>
To truncate(double value) {
  if constexpr (std::is_same_v<To, std::int32_t> || std::is_same_v<To, std::int64_t>) {
    return truncate_to<To>(value);
  } else if (std::is_same_v<To, std::uint64_t> && value > 0) {
    return static_cast<To>(truncate_to<std::uint64_t>(value));
  } else {
    return static_cast<To>(truncate_to<std::int64_t>(value));
  }
}

/// Integers wrap around, reals are truncated, anything that is not zero is true.
template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<To, bool>) {
    return value != 0;
  } else if constexpr (std::is_same_v<To, Float16> || std::is_same_v<To, BFloat16>) {
    return To(static_cast<float>(value));
  } else if constexpr (is_real<To> || !std::is_same_v<From, double>) {
    return static_cast<To>(value);
  } else {
    return truncate<To>(value);
  }
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\n\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n\r") - first + 1);
}

template <class T>
bool parse_whole(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// Plain and scientific notation, "inf", "nan" in any case.
double parse_real(std::string_view original) {
  std::string_view text = trimmed(original);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  if (parse_whole(text, value)) return value;
  // Out of double's range: strtod gives infinity or zero where from_chars gives up.
  const std::string copy(text);
  char* end = nullptr;
  value = std::strtod(copy.c_str(), &end);
  const bool digits = !copy.empty() && copy.find_first_not_of("0123456789+-.eE") == std::string::npos;
  if (digits && end == copy.c_str() + copy.size()) return value;
  throw_error(ErrorKind::input, "'{}' is not a number", original.substr(0, 60));
}

template <class T>
T parse(std::string_view text) {
  if constexpr (!is_real<T> && !std::is_same_v<T, bool>) {
    std::string_view digits = trimmed(text);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    Wide<T> whole = 0;
    if (parse_whole(digits, whole)) return narrow<T>(whole);
  }
  return convert<T>(parse_real(text));
}

/// The fewest digits that give the same T again, fixed notation from 1e-4 to 1e16 ("0.5", "1000000.0", "1e-07").
template <class T>
std::string print_real(T element) {
  const double value = widen(element);
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char scientific[40];
  for (int digits = 1; digits <= 17; ++digits) {
    std::snprintf(scientific, sizeof scientific, "%.*e", digits - 1, value);
    if (widen(narrow<T>(std::strtod(scientific, nullptr))) == value) break;
  }
  const std::string text = scientific;
  const auto mark = text.find('e');
  const int exponent = std::atoi(text.c_str() + mark + 1);
  if (exponent < -4 || exponent >= 16) return text;
  const auto significant = static_cast<int>(
      std::count_if(text.begin(), text.begin() + static_cast<long>(mark), [](char c) { return c >= '0' && c <= '9'; }));
  char fixed[64];
  std::snprintf(fixed, sizeof fixed, "%.*f", std::max(1, significant - 1 - exponent), value);
  return fixed;
}

template <class From>
void convert_all(const std::vector<From>& values, Tensor& out) {
  visit_numbers(out.dtype(), [&]<class To>() {
    const auto elements = out.data<To>();
    for (std::size_t i = 0; i < values.size(); ++i) elements[i] = convert<To>(values[i]);
  });
}

void cast(Context& context) {
  const Tensor& in = context.input(0);
  Tensor& out = context.output(0);
  if (in.dtype() == out.dtype()) return out.copy_from(in);
  if (in.dtype() == DType::string) {
    const auto texts = in.data<std::string>();
    return visit_numbers(out.dtype(), [&]<class To>() {
      const auto elements = out.data<To>();
      for (std::size_t i = 0; i < texts.size(); ++i) elements[i] = parse<To>(texts[i]);
    });
  }
  visit_numbers(in.dtype(), [&]<class From>() {
    const auto elements = in.data<From>();
    if (out.dtype() == DType::string) {
      const auto texts = out.data<std::string>();
      for (std::size_t i = 0; i < texts.size(); ++i) {
        if constexpr (is_real<From>) {
          texts[i] = print_real(elements[i]);
        } else {
          texts[i] = std::to_string(widen(elements[i]));
        }
      }
      return;
    }
    std::vector<Wide<From>> values(elements.size());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = widen(elements[i]);
    convert_all(values, out);
  });
}

/// The same bits under another type; a byte that becomes bool is true unless it is zero.
void bit_cast(Context& context) {
  const Tensor& in = context.input(0);
  Tensor& out = context.output(0);
  if (out.dtype() == DType::boolean) {
    const auto* bytes = static_cast<const unsigned char*>(in.raw());
    for (bool& element : out.data<bool>()) element = *bytes++ != 0;
  } else if (out.bytes() != 0) {
    std::memcpy(out.raw(), in.raw(), out.bytes());
  }
}

}  // namespace

void register_cast(Table& table) {
  table.add("Cast", cast);
  table.add("CastLike", cast);
  table.add("BitCast", bit_cast);
}

}  // namespace sparse_run::reference
