// Variable-length numbers, tags and lengths.
#include "graph/onnx/wire_fields.hpp"

#include "base/error.hpp"

namespace sparse_run::onnx {

namespace {

[[noreturn]] void refuse() { throw Error(ErrorKind::model, "the file is damaged: its bytes are no protobuf message"); }

std::uint64_t take_varint(std::string_view& rest) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (rest.empty()) refuse();
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  refuse();
}

std::string_view take(std::string_view& rest, std::uint64_t count) {
  if (count > rest.size()) refuse();
  const std::string_view taken = rest.substr(0, static_cast<std::size_t>(count));
  rest.remove_prefix(taken.size());
  return taken;
}

}  // namespace

WireField take_field(std::string_view& rest) {
  const std::string_view before = rest;
  const std::uint64_t tag = take_varint(rest);
  WireField field;
  if ((tag >> 3) == 0 || (tag >> 3) > 0x1fffffffu) refuse();
  field.number = static_cast<std::uint32_t>(tag >> 3);
  field.type = static_cast<WireType>(tag & 7);
  const std::string_view content = rest;
  switch (field.type) {
    case WireType::varint:
      field.value = take_varint(rest);
      field.payload = content.substr(0, content.size() - rest.size());
      break;
    case WireType::fixed64:
      field.payload = take(rest, 8);
      break;
    case WireType::bytes:
      field.payload = take(rest, take_varint(rest));
      break;
    case WireType::fixed32:
      field.payload = take(rest, 4);
      break;
    default:
      refuse();
  }
  field.whole = before.substr(0, before.size() - rest.size());
  return field;
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void append_number(std::string& out, std::uint32_t field, std::uint64_t value) {
  append_varint(out, std::uint64_t{field} << 3);
  append_varint(out, value);
}

void append_bytes(std::string& out, std::uint32_t field, std::string_view content) {
  append_varint(out, (std::uint64_t{field} << 3) | static_cast<std::uint64_t>(WireType::bytes));
  append_varint(out, content.size());
  out += content;
}

}  // namespace sparse_run::onnx
