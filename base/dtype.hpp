// Element types of tensors, numbered as in ONNX's TensorProto.DataType.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/float16.hpp"

namespace sparse_run {

enum class DType : std::int32_t {
  undefined = 0,
  f32 = 1,
  u8 = 2,
  i8 = 3,
  u16 = 4,
  i16 = 5,
  i32 = 6,
  i64 = 7,
  string = 8,
  boolean = 9,
  f16 = 10,
  f64 = 11,
  u32 = 12,
  u64 = 13,
  c64 = 14,
  c128 = 15,
  bf16 = 16,
  f8e4m3fn = 17,
  f8e4m3fnuz = 18,
  f8e5m2 = 19,
  f8e5m2fnuz = 20,
  u4 = 21,
  i4 = 22,
  f4e2m1 = 23,
  f8e8m0 = 24,
  u2 = 25,
  i2 = 26,
};

/// "f32", "i64", …; "undefined" for what is not listed.
std::string_view to_string(DType dtype) noexcept;

/// Bytes of one element in memory. 0 for string, undefined and the sub-byte types, which have no kernels.
std::size_t element_size(DType dtype) noexcept;

bool is_float(DType dtype) noexcept;            ///< f16 bf16 f32 f64
bool is_integer(DType dtype) noexcept;          ///< u8…u64 i8…i64, not boolean
bool is_signed_integer(DType dtype) noexcept;   ///< i8 i16 i32 i64

/// dtype_of<float> == DType::f32, for every C++ type that represents one.
template <class T>
inline constexpr DType dtype_of = DType::undefined;
template <> inline constexpr DType dtype_of<float> = DType::f32;
template <> inline constexpr DType dtype_of<double> = DType::f64;
template <> inline constexpr DType dtype_of<Float16> = DType::f16;
template <> inline constexpr DType dtype_of<BFloat16> = DType::bf16;
template <> inline constexpr DType dtype_of<std::uint8_t> = DType::u8;
template <> inline constexpr DType dtype_of<std::int8_t> = DType::i8;
template <> inline constexpr DType dtype_of<std::uint16_t> = DType::u16;
template <> inline constexpr DType dtype_of<std::int16_t> = DType::i16;
template <> inline constexpr DType dtype_of<std::uint32_t> = DType::u32;
template <> inline constexpr DType dtype_of<std::int32_t> = DType::i32;
template <> inline constexpr DType dtype_of<std::uint64_t> = DType::u64;
template <> inline constexpr DType dtype_of<std::int64_t> = DType::i64;
template <> inline constexpr DType dtype_of<bool> = DType::boolean;
template <> inline constexpr DType dtype_of<std::string> = DType::string;
template <> inline constexpr DType dtype_of<std::complex<float>> = DType::c64;
template <> inline constexpr DType dtype_of<std::complex<double>> = DType::c128;

/// Calls `visitor.template operator()<T>()` with the C++ type of `dtype`: visit_dtype(d, [&]<class T>() {…}).
/// Returns false, without a call, when `dtype` is none of Ts.
template <class... Ts, class Visitor>
bool visit_types(DType dtype, Visitor&& visitor) {
  return ((dtype == dtype_of<Ts> ? (visitor.template operator()<Ts>(), true) : false) || ...);
}

/// visit_types over every arithmetic type: floats, integers, boolean (not complex, string or sub-byte).
template <class Visitor>
bool visit_arithmetic(DType dtype, Visitor&& visitor) {
  return visit_types<float, double, Float16, BFloat16, std::uint8_t, std::int8_t, std::uint16_t, std::int16_t,
                     std::uint32_t, std::int32_t, std::uint64_t, std::int64_t, bool>(dtype, visitor);
}

/// visit_types over f32, f64, f16, bf16.
template <class Visitor>
bool visit_float(DType dtype, Visitor&& visitor) {
  return visit_types<float, double, Float16, BFloat16>(dtype, visitor);
}

/// The type to compute in: float for the 16-bit floats, the type itself otherwise.
template <class T> struct ComputeType { using type = T; };
template <> struct ComputeType<Float16> { using type = float; };
template <> struct ComputeType<BFloat16> { using type = float; };
template <class T> using Compute = typename ComputeType<T>::type;

}  // namespace sparse_run
