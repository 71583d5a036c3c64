// Conversions between UTF-8 and UTF-32.
#include "cli/unicode.hpp"

#include "base/error.hpp"

namespace sparse_run::cli {

namespace {

bool is_scalar(char32_t c) { return c < 0xd800 || (c >= 0xe000 && c <= 0x10ffff); }

/// Bytes of the sequence that starts with `lead`; 0 when none does.
int sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xf0 && lead < 0xf5) return 4;
  return 0;
}

}  // namespace

std::string utf8_from_utf32(std::u32string_view text) {
  std::string result;
  for (const char32_t c : text) {
    if (!is_scalar(c))
      throw_error(ErrorKind::input, "holds a string with the invalid code point {:#x}", std::uint32_t(c));
    if (c < 0x80) {
      result += static_cast<char>(c);
      continue;
    }
    const int tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static constexpr unsigned char kLead[] = {0, 0xc0, 0xe0, 0xf0};
    result += static_cast<char>(kLead[tail] | (c >> (6 * tail)));
    for (int i = tail - 1; i >= 0; --i) result += static_cast<char>(0x80 | ((c >> (6 * i)) & 0x3f));
  }
  return result;
}

std::u32string utf32_from_utf8(std::string_view text) {
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const auto length = static_cast<std::size_t>(sequence_length(lead));
    char32_t c = length == 1 ? lead : lead & (0x7fu >> length);
    bool valid = length > 0 && at + length <= text.size();
    for (std::size_t i = 1; valid && i < length; ++i) {
      const auto next = static_cast<unsigned char>(text[at + i]);
      valid = (next & 0xc0) == 0x80;
      c = (c << 6) | (next & 0x3f);
    }
    static constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    valid = valid && is_scalar(c) && c >= kSmallest[length];
    result += valid ? c : U'\ufffd';
    at += valid ? length : 1;
  }
  return result;
}

}  // namespace sparse_run::cli
