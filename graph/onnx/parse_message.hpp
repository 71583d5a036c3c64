// Scans the bytes of a file and parses its structure with protobuf.
#pragma once

#include <cstddef>
#include <span>

#include <google/protobuf/message_lite.h>

#include "graph/onnx/limits.hpp"
#include "graph/onnx/wire_scan.hpp"

namespace sparse_run::onnx {

/// Parses `bytes`, a message of kind `root`, into `message`; raw_data fields hold RawSpans into `bytes` afterwards.
/// Errors as scan_structure.
void parse_message(std::span<const std::byte> bytes, RootMessage root, const ImportLimits& limits,
                   google::protobuf::MessageLite& message);

}  // namespace sparse_run::onnx
