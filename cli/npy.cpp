// A parser for the Python literal that heads a .npy file, and its writer.
#include "cli/npy.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/error.hpp"

namespace sparse_run::cli {

namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr std::size_t kMaxRank = 32;

[[noreturn]] void malformed(std::string_view what) {
  throw_error(ErrorKind::input, "is not a valid .npy file: {}; write it with numpy.save", what);
}

/// Reads the dictionary {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } left to right.
class Literal {
 public:
  explicit Literal(std::string_view text) : text_(text) {}

  void expect(char wanted) {
    if (!accept(wanted)) malformed(fmt::format("'{}' missing in its header", wanted));
  }
  bool accept(char wanted) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  std::string_view quoted() {
    skip_blanks();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) {
      malformed("its header holds something else where a string belongs (structured types are not tensors)");
    }
    const char quote = text_[at_++];
    const auto end = text_.find(quote, at_);
    if (end == std::string_view::npos) malformed("unterminated string in its header");
    const auto result = text_.substr(at_, end - at_);
    at_ = end + 1;
    return result;
  }
  bool boolean() {
    skip_blanks();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    malformed("fortran_order is neither True nor False");
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      if (shape.size() == kMaxRank) malformed("more than 32 dimensions");
      shape.push_back(number());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }
  void end() {
    skip_blanks();
    if (at_ != text_.size()) malformed("text after the dictionary in its header");
  }

 private:
  std::int64_t number() {
    skip_blanks();
    std::int64_t value = 0;
    const auto [next, problem] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (problem != std::errc() || value < 0) malformed("a dimension is no number from 0 to 2^63-1");
    at_ = static_cast<std::size_t>(next - text_.data());
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote long integers so
    return value;
  }
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::optional<DType> number_type(char kind, std::size_t width) {
  struct Entry {
    char kind;
    std::size_t width;
    DType dtype;
  };
  static constexpr std::array kTypes = {
      Entry{'f', 2, DType::f16}, Entry{'f', 4, DType::f32},  Entry{'f', 8, DType::f64}, Entry{'i', 1, DType::i8},
      Entry{'i', 2, DType::i16}, Entry{'i', 4, DType::i32},  Entry{'i', 8, DType::i64}, Entry{'u', 1, DType::u8},
      Entry{'u', 2, DType::u16}, Entry{'u', 4, DType::u32},  Entry{'u', 8, DType::u64}, Entry{'b', 1, DType::boolean},
      Entry{'c', 8, DType::c64}, Entry{'c', 16, DType::c128}};
  for (const Entry& entry : kTypes) {
    if (entry.kind == kind && entry.width == width) return entry.dtype;
  }
  return std::nullopt;
}

void parse_descr(std::string_view descr, NpyHeader& header) {
  const auto refuse = [&](std::string_view what) {
    throw_error(ErrorKind::input, "has element type '{}', {}; convert it with numpy's astype", descr, what);
  };
  std::string_view rest = descr;
  char order = '|';
  if (!rest.empty() && std::string_view("<>|=").find(rest[0]) != std::string_view::npos) {
    order = rest[0];
    rest.remove_prefix(1);
  }
  if (rest.size() < 2) refuse("which is none of a tensor");
  const char kind = rest[0];
  std::size_t count = 0;
  const auto [next, problem] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), count);
  if (problem != std::errc() || next != rest.data() + rest.size() || count == 0 || count > (1u << 20)) {
    refuse("which is none of a tensor");
  }
  header.swapped = order == '>';
  if (const auto dtype = number_type(kind, count)) {
    header.dtype = *dtype;
    header.width = count;
    if (count == 1) header.swapped = false;
  } else if (kind == 'S' || kind == 'a') {
    header.element = NpyElement::bytes;
    header.dtype = DType::string;
    header.width = count;
    header.swapped = false;
  } else if (kind == 'U') {
    header.element = NpyElement::unicode;
    header.dtype = DType::string;
    header.width = count * 4;
  } else if (kind == 'V' && (count == 1 || count == 2)) {
    header.element = NpyElement::raw;
    header.width = count;
  } else {
    refuse("which has no counterpart in ONNX");
  }
}

}  // namespace

std::size_t NpyHeader::data_bytes() const {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::size_t>(element_count(shape)), width, &bytes)) {
    throw_error(ErrorKind::limit, "an array of shape {} does not fit memory", to_string(shape));
  }
  return bytes;
}

std::size_t npy_header_bytes(std::span<const std::byte> start) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(start[i]); };
  if (start.size() < 10 || std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0) {
    malformed(start.empty() ? "it is empty" : "its first bytes are others");
  }
  const std::uint32_t version = byte(6);
  if (version < 1 || version > 3) malformed(fmt::format("format version {} is not known", version));
  const bool short_length = version == 1;
  if (!short_length && start.size() < kNpyPreambleBytes) malformed("it ends within its header");
  const std::size_t length =
      short_length ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  if (length > kNpyDictionaryBytes) malformed(fmt::format("its header claims {} bytes", length));
  return (short_length ? 10 : 12) + length;
}

NpyHeader parse_npy_header(std::span<const std::byte> header) {
  if (header.size() < npy_header_bytes(header)) malformed("it ends within its header");
  const std::size_t preamble = header[6] == std::byte{1} ? 10 : 12;
  Literal literal({reinterpret_cast<const char*>(header.data()) + preamble, header.size() - preamble});
  NpyHeader result;
  bool has_descr = false;
  bool has_order = false;
  bool has_shape = false;
  literal.expect('{');
  while (!literal.accept('}')) {
    const std::string_view key = literal.quoted();
    literal.expect(':');
    bool* seen = key == "descr"           ? &has_descr
                 : key == "fortran_order" ? &has_order
                 : key == "shape"         ? &has_shape
                                          : nullptr;
    if (seen == nullptr || *seen) malformed("its header has a key that is unknown or given twice");
    *seen = true;
    if (key == "descr") {
      parse_descr(literal.quoted(), result);
    } else if (key == "fortran_order") {
      result.fortran = literal.boolean();
    } else {
      result.shape = literal.tuple();
    }
    if (!literal.accept(',')) {
      literal.expect('}');
      break;
    }
  }
  literal.end();
  if (!has_descr || !has_order || !has_shape) malformed("descr, fortran_order or shape is missing in its header");
  result.data_bytes();
  return result;
}

std::string format_npy_header(std::string_view descr, const Shape& shape) {
  std::string dims;
  for (const std::int64_t dim : shape) dims += fmt::format("{}, ", dim);
  if (shape.size() > 1) dims.resize(dims.size() - 2);
  if (shape.size() == 1) dims.pop_back();
  std::string dictionary = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, dims);
  std::size_t preamble = 10;
  if (dictionary.size() + preamble + 64 > 0xffff) preamble = 12;
  const std::size_t unpadded = preamble + dictionary.size() + 1;
  dictionary.append((64 - unpadded % 64) % 64, ' ');
  dictionary += '\n';

  std::string header(kMagic);
  header += static_cast<char>(preamble == 10 ? 1 : 2);
  header += '\0';
  for (std::size_t i = 0; i < preamble - 8; ++i) {
    header += static_cast<char>(static_cast<unsigned char>(dictionary.size() >> (8 * i)));
  }
  return header + dictionary;
}

std::string npy_descr(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return "<f2";
    case DType::f32:
      return "<f4";
    case DType::f64:
      return "<f8";
    case DType::i8:
      return "|i1";
    case DType::i16:
      return "<i2";
    case DType::i32:
      return "<i4";
    case DType::i64:
      return "<i8";
    case DType::u8:
      return "|u1";
    case DType::u16:
      return "<u2";
    case DType::u32:
      return "<u4";
    case DType::u64:
      return "<u8";
    case DType::boolean:
      return "|b1";
    case DType::c64:
      return "<c8";
    case DType::c128:
      return "<c16";
    case DType::bf16:
      return "<V2";
    case DType::f8e4m3fn:
    case DType::f8e4m3fnuz:
    case DType::f8e5m2:
    case DType::f8e5m2fnuz:
    case DType::f8e8m0:
      return "|V1";
    default:
      throw_error(ErrorKind::unsupported, "tensors of type {} have no place in .npy files", to_string(dtype));
  }
}

}  // namespace sparse_run::cli
