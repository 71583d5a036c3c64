// Numbers as people write and read them: sizes, shapes, durations, counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/shape.hpp"

namespace sparse_run::cli {

/// "512MiB", "2GiB", "1.5G", "1000" (bytes). K, M, G, T and KiB… are powers of 1024, KB… of 1000.
/// Error(usage) for anything else.
std::uint64_t parse_bytes(std::string_view text);

/// "1x3x224x224"; "scalar" for rank 0. Error(usage) for anything else.
Shape parse_shape(std::string_view text);

/// A whole number in [lowest, highest]; Error(usage) otherwise.
std::int64_t parse_integer(std::string_view text, std::int64_t lowest, std::int64_t highest);

/// Splits NAME=REST at the last '=' (names may hold one). Error(usage) when there is none or a side is empty.
std::pair<std::string, std::string> split_assignment(std::string_view text);

std::string format_bytes(double bytes);      ///< "1.5 GiB"
std::string format_seconds(double seconds);  ///< "850 ms", "12.3 s", "2 min 5 s"
std::string format_count(double count);      ///< "1,234,567"
std::string format_milliseconds(double ms);  ///< four significant digits: "0.01234", "12.34"

}  // namespace sparse_run::cli
