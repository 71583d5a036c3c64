// The 16-bit floating point types of ONNX as storage types: exact bits, conversions that round to nearest even.
#pragma once

#include <bit>
#include <cstdint>

namespace sparse_run {

/// IEEE binary16. Storage only: convert to float to compute.
struct Float16 {
  std::uint16_t bits = 0;

  Float16() = default;
  explicit Float16(float value) noexcept : bits(from_float(value)) {}
  explicit operator float() const noexcept { return to_float(bits); }
  friend bool operator==(Float16 a, Float16 b) noexcept { return float(a) == float(b); }

  static Float16 from_bits(std::uint16_t bits) noexcept {
    Float16 half;
    half.bits = bits;
    return half;
  }

 private:
  static std::uint16_t from_float(float value) noexcept {
    const std::uint32_t f = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (f >> 16) & 0x8000u;
    const std::uint32_t magnitude = f & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return std::uint16_t(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return std::uint16_t(sign | 0x7c00u);  // rounds to or beyond 65520: infinity
    if (magnitude < 0x38800000u) {                                       // subnormal or zero in binary16
      if (magnitude < 0x33000000u) return std::uint16_t(sign);
      const std::uint32_t exponent = magnitude >> 23;
      const std::uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
      const std::uint32_t shift = 126 - exponent;
      const std::uint32_t half = std::uint32_t(1) << (shift - 1);
      std::uint32_t rounded = mantissa >> shift;
      const std::uint32_t rest = mantissa & ((half << 1) - 1);
      if (rest > half || (rest == half && (rounded & 1))) ++rounded;
      return std::uint16_t(sign | rounded);
    }
    const std::uint32_t rebased = magnitude - 0x38000000u;
    const std::uint32_t rounded = rebased + 0xfffu + ((rebased >> 13) & 1u);
    return std::uint16_t(sign | (rounded >> 13));
  }

  static float to_float(std::uint16_t h) noexcept {
    const std::uint32_t sign = std::uint32_t(h & 0x8000u) << 16;
    const std::uint32_t exponent = (h >> 10) & 0x1fu;
    std::uint32_t mantissa = h & 0x3ffu;
    if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
    if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
    const float magnitude = float(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
};

/// bfloat16: the upper half of a binary32. Storage only: convert to float to compute.
struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float value) noexcept {
    const std::uint32_t f = std::bit_cast<std::uint32_t>(value);
    if ((f & 0x7fffffffu) > 0x7f800000u) {
      bits = std::uint16_t((f >> 16) | 0x40u);  // keep a NaN a NaN
    } else {
      bits = std::uint16_t((f + 0x7fffu + ((f >> 16) & 1u)) >> 16);
    }
  }
  explicit operator float() const noexcept { return std::bit_cast<float>(std::uint32_t(bits) << 16); }
  friend bool operator==(BFloat16 a, BFloat16 b) noexcept { return float(a) == float(b); }

  static BFloat16 from_bits(std::uint16_t bits) noexcept {
    BFloat16 brain;
    brain.bits = bits;
    return brain;
  }
};

}  // namespace sparse_run
