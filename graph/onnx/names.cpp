// Length and encoding of names.
#include "graph/onnx/names.hpp"

#include "base/error.hpp"

namespace sparse_run::onnx {

namespace {

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    if (lead < 0x80) continue;
    const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4) return false;
    for (int k = 0; k < more; ++k) {
      if (i == text.size()) return false;
      const auto next = static_cast<unsigned char>(text[i++]);
      unsigned low = 0x80;
      unsigned high = 0xbf;
      if (k == 0) {
        if (lead == 0xe0) low = 0xa0;
        if (lead == 0xed) high = 0x9f;
        if (lead == 0xf0) low = 0x90;
        if (lead == 0xf4) high = 0x8f;
      }
      if (next < low || next > high) return false;
    }
  }
  return true;
}

}  // namespace

void check_name(std::string_view name, const ImportLimits& limits, std::string_view what) {
  if (name.size() > limits.name_length) {
    throw_error(ErrorKind::limit, "the name of {} has {} bytes, more than the limit of {}", what, name.size(),
                limits.name_length);
  }
  for (const char c : name) {
    // Names appear in one-line messages and on terminals; the standard wants identifiers.
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      throw_error(ErrorKind::model, "the name of {} contains control character {:#04x}", what, static_cast<int>(c));
    }
  }
  if (!is_utf8(name)) throw_error(ErrorKind::model, "the name of {} is not valid UTF-8", what);
}

}  // namespace sparse_run::onnx
