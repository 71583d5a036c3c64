// Scan, then parse.
#include "graph/onnx/parse_message.hpp"

#include <google/protobuf/io/coded_stream.h>

#include "base/error.hpp"

namespace sparse_run::onnx {

void parse_message(std::span<const std::byte> bytes, RootMessage root, const ImportLimits& limits,
                   google::protobuf::MessageLite& message) {
  const std::string structure = scan_structure(bytes, root, limits);
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(structure.data()),
                                                static_cast<int>(structure.size()));
  stream.SetTotalBytesLimit(static_cast<int>(structure.size()));
  stream.SetRecursionLimit(message_depth_limit(limits) + 8);  // the scan refused deeper files already
  if (!message.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    throw_error(ErrorKind::model, "not an ONNX file, or a damaged one: its {} bytes are not the expected message",
                bytes.size());
  }
}

}  // namespace sparse_run::onnx
