// The number formats in which sparse weights are kept: f32, or bf16 where rounding is allowed. Sums are f32 in both.
#pragma once

#include <bit>
#include <cstdint>

namespace sparse_run::cpu {

enum class WeightStorage { f32, bf16 };

/// The nearest bf16 number, of two the even one. NaN stays NaN, and what is beyond the largest bf16 becomes infinite.
constexpr std::uint16_t to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

constexpr float from_bf16(std::uint16_t value) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

}  // namespace sparse_run::cpu
