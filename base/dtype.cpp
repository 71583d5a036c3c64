// Names, sizes and classes of element types.
#include "base/dtype.hpp"

namespace sparse_run {

std::string_view to_string(DType dtype) noexcept {
  switch (dtype) {
    case DType::undefined: return "undefined";
    case DType::f32: return "f32";
    case DType::u8: return "u8";
    case DType::i8: return "i8";
    case DType::u16: return "u16";
    case DType::i16: return "i16";
    case DType::i32: return "i32";
    case DType::i64: return "i64";
    case DType::string: return "string";
    case DType::boolean: return "bool";
    case DType::f16: return "f16";
    case DType::f64: return "f64";
    case DType::u32: return "u32";
    case DType::u64: return "u64";
    case DType::c64: return "c64";
    case DType::c128: return "c128";
    case DType::bf16: return "bf16";
    case DType::f8e4m3fn: return "f8e4m3fn";
    case DType::f8e4m3fnuz: return "f8e4m3fnuz";
    case DType::f8e5m2: return "f8e5m2";
    case DType::f8e5m2fnuz: return "f8e5m2fnuz";
    case DType::u4: return "u4";
    case DType::i4: return "i4";
    case DType::f4e2m1: return "f4e2m1";
    case DType::f8e8m0: return "f8e8m0";
    case DType::u2: return "u2";
    case DType::i2: return "i2";
  }
  return "undefined";
}

std::size_t element_size(DType dtype) noexcept {
  switch (dtype) {
    case DType::u8:
    case DType::i8:
    case DType::boolean:
    case DType::f8e4m3fn:
    case DType::f8e4m3fnuz:
    case DType::f8e5m2:
    case DType::f8e5m2fnuz:
    case DType::f8e8m0: return 1;
    case DType::u16:
    case DType::i16:
    case DType::f16:
    case DType::bf16: return 2;
    case DType::f32:
    case DType::i32:
    case DType::u32: return 4;
    case DType::i64:
    case DType::u64:
    case DType::f64:
    case DType::c64: return 8;
    case DType::c128: return 16;
    default: return 0;
  }
}

bool is_float(DType dtype) noexcept {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::f16 || dtype == DType::bf16;
}

bool is_signed_integer(DType dtype) noexcept {
  return dtype == DType::i8 || dtype == DType::i16 || dtype == DType::i32 || dtype == DType::i64;
}

bool is_integer(DType dtype) noexcept {
  return is_signed_integer(dtype) || dtype == DType::u8 || dtype == DType::u16 || dtype == DType::u32 ||
         dtype == DType::u64;
}

}  // namespace sparse_run
