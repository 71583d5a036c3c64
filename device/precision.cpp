// Names of precisions.
#include "device/precision.hpp"

#include <array>

namespace sparse_run {

namespace {

constexpr std::array<std::string_view, 4> kNames{"f32", "tf32", "bf16", "f16"};

}  // namespace

std::string_view to_string(Precision precision) noexcept { return kNames[static_cast<std::size_t>(precision)]; }

std::optional<Precision> parse_precision(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return static_cast<Precision>(i);
  }
  return std::nullopt;
}

}  // namespace sparse_run
