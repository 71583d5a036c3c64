// Rounding f32 to the 16-bit types that tensor cores multiply.
#pragma once

#include "gpu/cuda/kernels/block.hpp"

namespace sparse_run::gpu::cuda {

enum class Half : int { f16, bf16 };

SPARSE_RUN_DEVICE unsigned bits_of(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(x);
#else
  unsigned bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  return bits;
#endif
}

/// To the nearest, ties to even; NaN stays NaN.
SPARSE_RUN_DEVICE unsigned short rounded_to_bf16(float x) {
  const unsigned bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<unsigned short>(bits >> 16 | 0x40u);
  return static_cast<unsigned short>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/// The same; what is beyond the range becomes infinite.
SPARSE_RUN_DEVICE unsigned short rounded_to_f16(float x) {
  const unsigned bits = bits_of(x);
  const unsigned sign = bits >> 16 & 0x8000u;
  const unsigned magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<unsigned short>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<unsigned short>(sign | 0x7c00u);  // 65520 and more
  const unsigned exponent = magnitude >> 23;
  if (exponent < 102) return static_cast<unsigned short>(sign);  // below half of the smallest one
  // 24 bits of mantissa lose 13, and one more for each step below the smallest normal exponent.
  const unsigned lost = exponent < 113 ? 126 - exponent : 13;
  const unsigned mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  const unsigned kept = mantissa >> lost;
  const unsigned rest = mantissa & ((1u << lost) - 1);
  const unsigned half = 1u << (lost - 1);
  const unsigned up = rest > half || (rest == half && (kept & 1u) != 0) ? 1 : 0;
  // The leading bit of a normal number counts one up in the exponent's field, a carry as well.
  const unsigned base = exponent < 113 ? 0 : (exponent - 113) << 10;
  return static_cast<unsigned short>(sign | (base + kept + up));
}

/// y[i] = x[i] rounded.
struct Rounding {
  const float* x;
  unsigned short* y;
  Index count;
  Half to;
};

SPARSE_RUN_DEVICE void round_to_half(const Rounding& p, const Block& block) {
  block.each_item(p.count,
                  [&](Index i) { p.y[i] = p.to == Half::f16 ? rounded_to_f16(p.x[i]) : rounded_to_bf16(p.x[i]); });
}

}  // namespace sparse_run::gpu::cuda
