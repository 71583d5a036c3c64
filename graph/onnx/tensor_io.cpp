// Reading value files.
#include "graph/onnx/tensor_io.hpp"

#include "base/error.hpp"
#include "graph/onnx/budget.hpp"
#include "graph/onnx/mapped_file.hpp"
#include "graph/onnx/parse_message.hpp"
#include "graph/onnx/tensor_proto.hpp"

namespace sparse_run {

namespace {

using onnx::TensorReader;

void check_element(DType found, const Type& expected) {
  if (expected.dtype != DType::undefined && expected.dtype != found) {
    throw_error(ErrorKind::input, "holds {}, expected {}", to_string(found), to_string(expected.dtype));
  }
}

Value read_tensor(const onnx_wire::TensorProto& proto, const Type& expected, TensorReader& reader) {
  Tensor tensor = reader.read(proto);
  check_element(tensor.dtype(), expected);
  return tensor;
}

Value read_optional(const onnx_wire::OptionalProto& proto, const Type& expected, TensorReader& reader);

Value read_sequence(const onnx_wire::SequenceProto& proto, const Type& expected, TensorReader& reader) {
  const Type element = expected.element ? *expected.element : Type{};
  std::vector<Value> values;
  switch (proto.elem_type()) {
    case onnx_wire::SequenceProto::UNDEFINED:
      break;  // nothing in it
    case onnx_wire::SequenceProto::TENSOR:
      for (const auto& tensor : proto.tensor_values()) values.push_back(read_tensor(tensor, element, reader));
      break;
    case onnx_wire::SequenceProto::SEQUENCE:
      for (const auto& inner : proto.sequence_values()) values.push_back(read_sequence(inner, element, reader));
      break;
    case onnx_wire::SequenceProto::OPTIONAL:
      for (const auto& inner : proto.optional_values()) values.push_back(read_optional(inner, element, reader));
      break;
    case onnx_wire::SequenceProto::SPARSE_TENSOR:
    case onnx_wire::SequenceProto::MAP:
      throw_error(ErrorKind::unsupported, "sequences of sparse tensors or maps are not supported");
    default:
      throw_error(ErrorKind::input, "a sequence of unknown kind {}", proto.elem_type());
  }
  return Value::sequence(std::move(values));
}

Value read_optional(const onnx_wire::OptionalProto& proto, const Type& expected, TensorReader& reader) {
  const Type element = expected.element ? *expected.element : Type{};
  switch (proto.elem_type()) {
    case onnx_wire::OptionalProto::UNDEFINED:
      return Value::none();
    case onnx_wire::OptionalProto::TENSOR:
      return proto.has_tensor_value() ? Value::some(read_tensor(proto.tensor_value(), element, reader)) : Value::none();
    case onnx_wire::OptionalProto::SEQUENCE:
      return proto.has_sequence_value() ? Value::some(read_sequence(proto.sequence_value(), element, reader))
                                        : Value::none();
    case onnx_wire::OptionalProto::OPTIONAL:
      return proto.has_optional_value() ? Value::some(read_optional(proto.optional_value(), element, reader))
                                        : Value::none();
    case onnx_wire::OptionalProto::SPARSE_TENSOR:
    case onnx_wire::OptionalProto::MAP:
      throw_error(ErrorKind::unsupported, "optional sparse tensors or maps are not supported");
    default:
      throw_error(ErrorKind::input, "an optional of unknown kind {}", proto.elem_type());
  }
}

template <class Proto>
Proto parse(std::span<const std::byte> bytes, onnx::RootMessage root, const ImportLimits& limits) {
  Proto proto;
  onnx::parse_message(bytes, root, limits, proto);
  return proto;
}

Value read_value(const std::filesystem::path& path, const Type& expected, const ImportLimits& limits) {
  const auto file = onnx::MappedFile::open(path, limits.file_bytes);
  const auto bytes = file->bytes();
  onnx::Budget budget(limits);
  onnx::ExternalData external(path.parent_path(), limits);
  TensorReader reader(bytes, file, external, budget);
  switch (expected.kind) {
    case ValueKind::tensor:
      return read_tensor(parse<onnx_wire::TensorProto>(bytes, onnx::RootMessage::tensor, limits), expected, reader);
    case ValueKind::sequence:
      return read_sequence(parse<onnx_wire::SequenceProto>(bytes, onnx::RootMessage::sequence, limits), expected,
                           reader);
    case ValueKind::optional:
      return read_optional(parse<onnx_wire::OptionalProto>(bytes, onnx::RootMessage::optional, limits), expected,
                           reader);
  }
  throw Error(ErrorKind::internal, "a value of unknown kind is expected");
}

}  // namespace

Value read_value_file(const std::filesystem::path& path, const Type& expected, const ImportLimits& limits) {
  return with_context([&] { return path.string(); },
                      [&] {
                        try {
                          return read_value(path, expected, limits);
                        } catch (const Error& error) {
                          // What is wrong with a model when it is in a model is wrong with the input here.
                          if (error.kind() == ErrorKind::model) throw Error(ErrorKind::input, error.what());
                          throw;
                        }
                      });
}

}  // namespace sparse_run
