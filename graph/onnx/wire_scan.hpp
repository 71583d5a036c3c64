// Separates an ONNX file into its structure, small enough for protobuf, and the tensor bytes, which stay in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "graph/onnx/limits.hpp"

namespace sparse_run::onnx {

/// The message at the root of a file.
enum class RootMessage { model, tensor, sequence, optional };

/// Rewrites the wire bytes of a message of the given kind: every TensorProto.raw_data is replaced by the 16-byte
/// encoding of a RawSpan that points into `file`; documentation strings and training information are left out.
/// The result is what protobuf may parse; it is at most a few bytes per field larger than the rest of the file.
/// Error(model) for bytes that are no protobuf message, Error(limit) for too much structure or nesting.
std::string scan_structure(std::span<const std::byte> file, RootMessage root, const ImportLimits& limits);

/// Deepest nesting of protobuf messages that scan_structure lets through.
int message_depth_limit(const ImportLimits& limits) noexcept;

/// Where raw_data lies in the file; always within it.
struct RawSpan {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

/// Decodes what scan_structure wrote into raw_data.
RawSpan decode_raw_span(std::string_view raw_data);

}  // namespace sparse_run::onnx
