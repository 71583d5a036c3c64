// The lowest precision that products and convolutions may multiply in.
#pragma once

#include <optional>
#include <string_view>

namespace sparse_run {

/// What the user allows for operands of products and convolutions that the model has in f32; sums and values between
/// layers stay in f32. A device that lacks a precision computes in a higher one.
enum class Precision { f32, tf32, bf16, f16 };

/// "f32", "tf32", "bf16", "f16".
std::string_view to_string(Precision precision) noexcept;
/// The same read back; nothing for any other text.
std::optional<Precision> parse_precision(std::string_view text) noexcept;

}  // namespace sparse_run
