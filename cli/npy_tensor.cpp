// Views and conversions between .npy bytes and tensors.
#include "cli/npy_tensor.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/error.hpp"
#include "cli/unicode.hpp"

namespace sparse_run::cli {

namespace {

static_assert(std::endian::native == std::endian::little, ".npy data is read and written as little-endian");

/// Width of what a byte swap reverses: each half of a complex number by itself.
std::size_t swap_width(DType dtype, std::size_t width) {
  return dtype == DType::c64 || dtype == DType::c128 ? width / 2 : width;
}

/// Copies column-major elements into row-major order, walking the destination.
void copy_from_fortran(const std::byte* source, std::byte* target, const Shape& shape, std::size_t width) {
  const std::int64_t count = element_count(shape);
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t d = 1; d < shape.size(); ++d) strides[d] = strides[d - 1] * shape[d - 1];
  std::vector<std::int64_t> index(shape.size(), 0);
  std::int64_t from = 0;
  for (std::int64_t to = 0; to < count; ++to) {
    std::memcpy(target + static_cast<std::size_t>(to) * width, source + static_cast<std::size_t>(from) * width, width);
    for (std::size_t d = shape.size(); d-- > 0;) {
      from += strides[d];
      if (++index[d] < shape[d]) break;
      from -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
}

std::string decode(const NpyHeader& header, const std::byte* element) {
  const char* bytes = reinterpret_cast<const char*>(element);
  if (header.element == NpyElement::bytes) {
    std::size_t length = header.width;
    while (length > 0 && bytes[length - 1] == '\0') --length;
    return {bytes, length};
  }
  std::u32string text(header.width / 4, U'\0');
  std::memcpy(text.data(), bytes, header.width);
  if (header.swapped) {
    for (char32_t& c : text) c = static_cast<char32_t>(__builtin_bswap32(static_cast<std::uint32_t>(c)));
  }
  while (!text.empty() && text.back() == U'\0') text.pop_back();
  return utf8_from_utf32(text);
}

Tensor string_tensor(const NpyHeader& header, std::span<const std::byte> data) {
  Tensor tensor = Tensor::allocate(DType::string, header.shape);
  std::vector<std::byte> row_major;
  const std::byte* source = data.data();
  if (header.fortran && header.shape.size() > 1) {
    row_major.resize(data.size());
    copy_from_fortran(data.data(), row_major.data(), header.shape, header.width);
    source = row_major.data();
  }
  std::size_t at = 0;
  for (std::string& element : tensor.data<std::string>()) {
    element = decode(header, source + at);
    at += header.width;
  }
  return tensor;
}

DType raw_type(std::size_t width, DType expected) {
  if (element_size(expected) == width) return expected;
  if (width == 2) return DType::bf16;
  throw_error(ErrorKind::input, "holds raw bytes whose element type cannot be told; convert them to a NumPy type");
}

}  // namespace

Tensor npy_tensor(const NpyHeader& header, std::span<const std::byte> data, std::shared_ptr<const void> owner,
                  DType expected) {
  const std::size_t needed = header.data_bytes();
  if (data.size() < needed) {
    throw_error(ErrorKind::input, "ends early: shape {} needs {} bytes of data, {} are there; write it again",
                to_string(header.shape), needed, data.size());
  }
  if (data.size() > needed) {
    throw_error(ErrorKind::input, "has {} bytes after its data (shape {} needs {}); write it again",
                data.size() - needed, to_string(header.shape), needed);
  }
  if (header.dtype == DType::string) return string_tensor(header, data);
  const DType dtype = header.element == NpyElement::raw ? raw_type(header.width, expected) : header.dtype;
  if (header.element == NpyElement::number && dtype == DType::boolean) {
    if (std::any_of(data.begin(), data.end(), [](std::byte b) { return b > std::byte{1}; })) {
      throw_error(ErrorKind::input, "has booleans that are neither 0 nor 1; convert them with numpy's astype(bool)");
    }
  }
  // A row-major reading is right as well for arrays with at most one dimension that matters.
  const bool transposed =
      header.fortran && std::count_if(header.shape.begin(), header.shape.end(), [](auto d) { return d > 1; }) > 1;
  const bool aligned = reinterpret_cast<std::uintptr_t>(data.data()) % std::min<std::size_t>(header.width, 8) == 0;
  if (!transposed && !header.swapped && aligned && owner != nullptr && needed > 0) {
    return Tensor::view(dtype, header.shape, const_cast<std::byte*>(data.data()), std::move(owner));
  }
  Tensor tensor = Tensor::allocate(dtype, header.shape);
  auto* target = static_cast<std::byte*>(tensor.raw());
  if (transposed && needed > 0) {
    copy_from_fortran(data.data(), target, header.shape, header.width);
  } else if (needed > 0) {
    std::memcpy(target, data.data(), needed);
  }
  if (header.swapped) {
    const std::size_t width = swap_width(dtype, header.width);
    for (std::size_t at = 0; at < needed; at += width) std::reverse(target + at, target + at + width);
  }
  return tensor;
}

NpyFile load_npy(const std::filesystem::path& path, DType expected) {
  std::shared_ptr<const onnx::MappedFile> file;
  try {
    file = onnx::MappedFile::open(path, std::uint64_t{1} << 46, onnx::MappedFile::Access::mapped_and_read);
  } catch (const Error& error) {
    throw Error(error.kind() == ErrorKind::model ? ErrorKind::input : error.kind(), error.message());
  }
  const auto bytes = file->bytes();
  const std::size_t header_bytes = npy_header_bytes(bytes.first(std::min(bytes.size(), kNpyPreambleBytes)));
  if (bytes.size() < header_bytes) throw_error(ErrorKind::input, "ends within its header; write it again");
  NpyFile result;
  result.tensor = npy_tensor(parse_npy_header(bytes.first(header_bytes)), bytes.subspan(header_bytes), file, expected);
  if (result.tensor.owner() == file) result.mapped = std::move(file);
  return result;
}

NpyEncoding encode_npy(const Tensor& tensor) {
  if (tensor.dtype() != DType::string) return {npy_descr(tensor.dtype()), {}};
  std::vector<std::u32string> words;
  std::size_t longest = 1;
  for (const std::string& word : tensor.data<std::string>()) {
    words.push_back(utf32_from_utf8(word));
    longest = std::max(longest, words.back().size());
  }
  NpyEncoding encoding;
  encoding.descr = fmt::format("<U{}", longest);
  encoding.text.resize(words.size() * longest * 4, '\0');
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::memcpy(encoding.text.data() + i * longest * 4, words[i].data(), words[i].size() * 4);
  }
  return encoding;
}

}  // namespace sparse_run::cli
