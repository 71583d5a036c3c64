// UTF-8 (strings of tensors) to and from UTF-32 (strings of NumPy arrays).
#pragma once

#include <string>
#include <string_view>

namespace sparse_run::cli {

/// Error(input) for surrogates and code points beyond U+10FFFF.
std::string utf8_from_utf32(std::u32string_view text);

/// Bytes that are not valid UTF-8 become U+FFFD, one each.
std::u32string utf32_from_utf8(std::string_view text);

}  // namespace sparse_run::cli
