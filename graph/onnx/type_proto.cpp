// Reading declared types.
#include "graph/onnx/type_proto.hpp"

#include <algorithm>
#include <string_view>

#include "base/error.hpp"
#include "graph/onnx/names.hpp"

namespace sparse_run::onnx {

namespace {

/// Exporters write "?", "-1", "None" or nothing for a dimension that they have no name for. Such dimensions have
/// nothing to do with one another; a name has a letter or an underscore.
bool names_nothing(std::string_view symbol) {
  if (symbol == "None") return true;
  return std::none_of(symbol.begin(), symbol.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
  });
}

DeclaredType read_tensor(const onnx_wire::TypeProto::Tensor& proto, const ImportLimits& limits) {
  DeclaredType result;
  result.type = Type::tensor(read_dtype(proto.elem_type()));
  if (!proto.has_shape()) return result;
  const auto& dims = proto.shape().dim();
  if (static_cast<std::size_t>(dims.size()) > limits.rank) {
    throw_error(ErrorKind::limit, "rank {} exceeds the limit of {}", dims.size(), limits.rank);
  }
  Shape shape;
  for (const auto& dim : dims) {
    shape.push_back(kUnknownDim);
    result.symbols.emplace_back();
    if (dim.has_dim_value()) {
      // Some exporters write -1 for a dimension that they do not know.
      if (dim.dim_value() < kUnknownDim) throw_error(ErrorKind::model, "dimension {} is negative", dim.dim_value());
      shape.back() = dim.dim_value();
    } else if (dim.has_dim_param()) {
      check_name(dim.dim_param(), limits, "a symbolic dimension");
      if (!names_nothing(dim.dim_param())) result.symbols.back() = dim.dim_param();
    }
  }
  result.type.shape = std::move(shape);
  return result;
}

Type read_nested(const onnx_wire::TypeProto& proto, const ImportLimits& limits, std::size_t depth);

// The element of a sequence or optional; an absent description means that nothing is known.
Type read_element(const onnx_wire::TypeProto& proto, const ImportLimits& limits, std::size_t depth) {
  if (proto.value_case() == onnx_wire::TypeProto::VALUE_NOT_SET) return {};
  return read_nested(proto, limits, depth);
}

Type read_nested(const onnx_wire::TypeProto& proto, const ImportLimits& limits, std::size_t depth) {
  if (depth > limits.nesting) throw_error(ErrorKind::limit, "a type is nested deeper than {}", limits.nesting);
  switch (proto.value_case()) {
    case onnx_wire::TypeProto::kTensorType:
      return read_tensor(proto.tensor_type(), limits).type;
    case onnx_wire::TypeProto::kSequenceType:
      return Type::sequence(read_element(proto.sequence_type().elem_type(), limits, depth + 1));
    case onnx_wire::TypeProto::kOptionalType:
      return Type::optional(read_element(proto.optional_type().elem_type(), limits, depth + 1));
    case onnx_wire::TypeProto::kMapType:
      throw_error(ErrorKind::unsupported, "values of type map are not supported");
    case onnx_wire::TypeProto::kSparseTensorType:
      throw_error(ErrorKind::unsupported,
                  "values of type sparse_tensor are not supported; sparse constants are (sparse_initializer)");
    case onnx_wire::TypeProto::kOpaqueType:
      throw_error(ErrorKind::unsupported, "values of opaque type are not supported");
    case onnx_wire::TypeProto::VALUE_NOT_SET:
      break;
  }
  throw_error(ErrorKind::model, "a type says neither tensor nor sequence nor optional");
}

}  // namespace

DType read_dtype(std::int32_t number) {
  if (number < 0 || number > static_cast<std::int32_t>(DType::i2)) {
    throw_error(ErrorKind::model, "element type {} does not exist", number);
  }
  return static_cast<DType>(number);
}

DeclaredType read_type(const onnx_wire::TypeProto& proto, const ImportLimits& limits) {
  if (proto.value_case() == onnx_wire::TypeProto::kTensorType) return read_tensor(proto.tensor_type(), limits);
  return {read_nested(proto, limits, 0), {}};
}

}  // namespace sparse_run::onnx
