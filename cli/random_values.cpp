// Random tensors from SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
#include "cli/random_values.hpp"

#include <charconv>
#include <cmath>

#include "base/error.hpp"

namespace sparse_run::cli {

namespace {

class SplitMix {
 public:
  explicit SplitMix(std::uint64_t state) : state_(state) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

std::uint64_t mixed(std::uint64_t seed, std::string_view name) {
  std::uint64_t state = SplitMix(seed).next();
  for (const char c : name) state = SplitMix(state ^ static_cast<unsigned char>(c)).next();
  return state;
}

template <class T>
void fill_integers(std::span<T> values, SplitMix& random, const RandomRange& range) {
  const double lowest = std::is_same_v<T, bool> ? 0 : static_cast<double>(std::numeric_limits<T>::min());
  const double highest = std::is_same_v<T, bool> ? 1 : static_cast<double>(std::numeric_limits<T>::max());
  const double low = std::ceil(range.low);
  const double high = std::floor(range.high);
  if (low < lowest || high > highest || low > high) {
    throw_error(ErrorKind::usage, "the range {},{} holds no value of this element type", range.low, range.high);
  }
  // The span of integers fits 53 bits in every practical range; wider ones lose evenness, not bounds.
  const double count = high - low + 1;
  for (T& value : values) value = static_cast<T>(std::min(high, low + std::floor(random.unit() * count)));
}

}  // namespace

RandomRange parse_range(std::string_view text) {
  RandomRange range;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, range.low);
  const bool has_comma = first.ec == std::errc() && first.ptr != end && *first.ptr == ',';
  const auto second = has_comma ? std::from_chars(first.ptr + 1, end, range.high) : first;
  if (!has_comma || second.ec != std::errc() || second.ptr != end || !std::isfinite(range.low) ||
      !std::isfinite(range.high) || range.low > range.high) {
    throw_error(ErrorKind::usage, "'{}' is no range; write it like random:0,255", text);
  }
  return range;
}

Tensor random_tensor(DType dtype, const Shape& shape, std::uint64_t seed, std::string_view name,
                     const std::optional<RandomRange>& range) {
  Tensor tensor = Tensor::allocate(dtype, shape);
  SplitMix random(mixed(seed, name));
  const RandomRange reals = range.value_or(RandomRange{-1, 1});
  const RandomRange integers = range.value_or(RandomRange{0, 1});
  const auto real = [&] { return reals.low + random.unit() * (reals.high - reals.low); };
  if (dtype == DType::string) {
    for (std::string& word : tensor.data<std::string>()) word = std::to_string(random.next() % 10);
    return tensor;
  }
  if (dtype == DType::c64 || dtype == DType::c128) {
    visit_types<std::complex<float>, std::complex<double>>(dtype, [&]<class T>() {
      using Part = typename T::value_type;
      for (T& value : tensor.data<T>()) {
        const auto re = static_cast<Part>(real());
        value = T(re, static_cast<Part>(real()));
      }
    });
    return tensor;
  }
  const bool filled = visit_arithmetic(dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T>) {
      fill_integers<T>(tensor.data<T>(), random, integers);
    } else {
      for (T& value : tensor.data<T>()) value = T(static_cast<Compute<T>>(real()));
    }
  });
  if (!filled) {
    throw_error(ErrorKind::input, "random values of type {} cannot be made; give this input from a file",
                to_string(dtype));
  }
  return tensor;
}

}  // namespace sparse_run::cli
