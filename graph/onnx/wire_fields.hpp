// Fields of a protobuf message on the wire: reading them one by one, and writing them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sparse_run::onnx {

enum class WireType : std::uint32_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::varint;
  std::string_view whole;    ///< tag included
  std::string_view payload;  ///< of `bytes`: the content; else the encoded number
  std::uint64_t value = 0;   ///< of `varint`
};

/// Takes the first field off `rest`, which is not empty. Error(model) for bytes that are no field.
WireField take_field(std::string_view& rest);

void append_varint(std::string& out, std::uint64_t value);
void append_number(std::string& out, std::uint32_t field, std::uint64_t value);
void append_bytes(std::string& out, std::uint32_t field, std::string_view content);

}  // namespace sparse_run::onnx
