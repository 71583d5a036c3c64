// The header of NumPy's .npy format: parsed defensively, written plainly.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/dtype.hpp"
#include "base/shape.hpp"

namespace sparse_run::cli {

/// How one element is stored.
enum class NpyElement {
  number,   ///< as `dtype` says
  bytes,    ///< |Sn: fixed-width byte strings, padded with NUL
  unicode,  ///< <Un: fixed-width UCS-4 strings, padded with NUL
  raw,      ///< |Vn: n bytes NumPy has no type for (bfloat16, float8)
};

struct NpyHeader {
  NpyElement element = NpyElement::number;
  DType dtype = DType::undefined;  ///< of numbers; string for bytes and unicode; undefined for raw
  std::size_t width = 0;           ///< stored bytes of one element
  bool swapped = false;            ///< big-endian
  bool fortran = false;            ///< column-major
  Shape shape;

  std::size_t data_bytes() const;  ///< Error(limit) on overflow
};

/// Bytes before the header's dictionary: magic, version, length.
inline constexpr std::size_t kNpyPreambleBytes = 12;
/// Longest dictionary that is read.
inline constexpr std::size_t kNpyDictionaryBytes = 1 << 16;

/// Size of preamble and dictionary together, from the first bytes of a file (all kNpyPreambleBytes, or the whole file
/// when it is shorter). Error(input) when they are no .npy of version 1, 2 or 3.
std::size_t npy_header_bytes(std::span<const std::byte> start);

/// Parses a whole header of npy_header_bytes(). Error(input) for anything malformed, object or structured types,
/// negative dimensions or more than 32 of them.
NpyHeader parse_npy_header(std::span<const std::byte> header);

/// A version-1 header (version 2 when it is long), padded so that data is aligned to 64 bytes.
/// `descr` as NumPy spells it: "<f4".
std::string format_npy_header(std::string_view descr, const Shape& shape);

/// NumPy's name of an element type; bfloat16 and float8 become "<V2" and "|V1", as ml_dtypes writes them.
/// Error(unsupported) for strings (their width depends on the data) and sub-byte types.
std::string npy_descr(DType dtype);

}  // namespace sparse_run::cli
