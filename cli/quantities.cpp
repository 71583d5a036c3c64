// Parsing and formatting of quantities.
#include "cli/quantities.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/error.hpp"

namespace sparse_run::cli {

namespace {

struct Unit {
  std::string_view name;
  double factor;
};
constexpr double kKibi = 1024.0;
constexpr std::array kUnits = {Unit{"", 1},
                               Unit{"b", 1},
                               Unit{"k", kKibi},
                               Unit{"kib", kKibi},
                               Unit{"kb", 1e3},
                               Unit{"m", kKibi* kKibi},
                               Unit{"mib", kKibi* kKibi},
                               Unit{"mb", 1e6},
                               Unit{"g", kKibi* kKibi* kKibi},
                               Unit{"gib", kKibi* kKibi* kKibi},
                               Unit{"gb", 1e9},
                               Unit{"t", kKibi* kKibi* kKibi* kKibi},
                               Unit{"tib", kKibi* kKibi* kKibi* kKibi},
                               Unit{"tb", 1e12}};

}  // namespace

std::uint64_t parse_bytes(std::string_view text) {
  double number = 0;
  const auto [rest, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit(rest, text.data() + text.size());
  unit.erase(0, unit.find_first_not_of(' '));
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto found = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == unit; });
  if (problem != std::errc() || found == kUnits.end() || !(number > 0) || number * found->factor >= 0x1p62) {
    throw_error(ErrorKind::usage, "'{}' is no size; write it like 512MiB or 2GiB", text);
  }
  return static_cast<std::uint64_t>(number * found->factor);
}

std::int64_t parse_integer(std::string_view text, std::int64_t lowest, std::int64_t highest) {
  std::int64_t value = 0;
  const auto [rest, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || rest != text.data() + text.size() || value < lowest || value > highest) {
    throw_error(ErrorKind::usage, "'{}' is no whole number from {} to {}", text, lowest, highest);
  }
  return value;
}

Shape parse_shape(std::string_view text) {
  Shape shape;
  if (text == "scalar") return shape;
  for (;;) {
    const auto end = std::min(text.find('x'), text.size());
    std::int64_t dim = -1;
    const auto [rest, problem] = std::from_chars(text.data(), text.data() + end, dim);
    if (problem != std::errc() || rest != text.data() + end || dim < 0) {
      throw_error(ErrorKind::usage, "'{}' is no shape; write it like 1x3x224x224, or scalar", text);
    }
    shape.push_back(dim);
    if (end == text.size()) return shape;
    text.remove_prefix(end + 1);
  }
}

std::pair<std::string, std::string> split_assignment(std::string_view text) {
  const auto at = text.rfind('=');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size()) {
    throw_error(ErrorKind::usage, "'{}' is not of the form NAME=VALUE", text);
  }
  return {std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

std::string format_bytes(double bytes) {
  static constexpr std::array kNames = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  while (bytes >= kKibi && unit + 1 < kNames.size()) {
    bytes /= kKibi;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.3g} {}", bytes, kNames[unit]);
}

std::string format_seconds(double seconds) {
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string format_count(double count) {
  const std::string digits = fmt::format("{:.0f}", count);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const bool after_digit = i > 0 && digits[i - 1] != '-';
    if (after_digit && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string format_milliseconds(double ms) {
  if (ms >= 1000) return fmt::format("{:.0f}", ms);
  const int digits = ms <= 0 ? 3 : std::clamp(3 - static_cast<int>(std::floor(std::log10(ms))), 1, 4);
  return fmt::format("{:.{}f}", ms, digits);
}

}  // namespace sparse_run::cli
