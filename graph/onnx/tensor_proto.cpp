// Reading dense constant tensors.
#include "graph/onnx/tensor_proto.hpp"

#include <bit>
#include <cstring>

#include "base/error.hpp"
#include "graph/onnx/type_proto.hpp"
#include "graph/onnx/wire_scan.hpp"

namespace sparse_run::onnx {

static_assert(std::endian::native == std::endian::little, "raw tensor data is little-endian and used in place");

namespace {

void check_count(std::int64_t found, std::int64_t needed, const char* field) {
  if (found != needed) {
    throw_error(ErrorKind::model, "{} holds {} elements, the shape needs {}", field, found, needed);
  }
}

// Elements of T from a typed field; narrower integers are stored in wider ones.
template <class T, class Field>
Tensor read_field(DType dtype, const Shape& shape, const Field& field, const char* name) {
  check_count(field.size(), element_count(shape), name);
  Tensor tensor = Tensor::allocate(dtype, shape);
  T* out = static_cast<T*>(tensor.raw());
  for (const auto value : field) {
    if constexpr (!std::is_same_v<T, bool>) {
      if (static_cast<decltype(value)>(static_cast<T>(value)) != value && value == value) {
        throw_error(ErrorKind::model, "{} holds {}, which {} cannot represent", name, value, to_string(dtype));
      }
      *out++ = static_cast<T>(value);
    } else {
      *out++ = value != 0;
    }
  }
  return tensor;
}

// Complex numbers: real and imaginary parts alternate.
template <class T, class Field>
Tensor read_complex(DType dtype, const Shape& shape, const Field& field, const char* name) {
  const std::int64_t count = element_count(shape);
  if (field.size() % 2 != 0 || field.size() / 2 != count) check_count(field.size() / 2, count, name);
  if (field.size() % 2 != 0) throw_error(ErrorKind::model, "{} ends in half a complex number", name);
  Tensor tensor = Tensor::allocate(dtype, shape);
  std::copy(field.begin(), field.end(), static_cast<T*>(tensor.raw()));
  return tensor;
}

Tensor read_strings(const Shape& shape, const onnx_wire::TensorProto& proto) {
  check_count(proto.string_data_size(), element_count(shape), "string_data");
  Tensor tensor = Tensor::allocate(DType::string, shape);
  std::copy(proto.string_data().begin(), proto.string_data().end(), tensor.data<std::string>().begin());
  return tensor;
}

Tensor read_typed(DType dtype, const Shape& shape, const onnx_wire::TensorProto& proto) {
  const auto int32 = [&]<class T>() { return read_field<T>(dtype, shape, proto.int32_data(), "int32_data"); };
  switch (dtype) {
    case DType::f32:
      return read_field<float>(dtype, shape, proto.float_data(), "float_data");
    case DType::f64:
      return read_field<double>(dtype, shape, proto.double_data(), "double_data");
    case DType::c64:
      return read_complex<float>(dtype, shape, proto.float_data(), "float_data");
    case DType::c128:
      return read_complex<double>(dtype, shape, proto.double_data(), "double_data");
    case DType::i64:
      return read_field<std::int64_t>(dtype, shape, proto.int64_data(), "int64_data");
    case DType::u64:
      return read_field<std::uint64_t>(dtype, shape, proto.uint64_data(), "uint64_data");
    case DType::u32:
      return read_field<std::uint32_t>(dtype, shape, proto.uint64_data(), "uint64_data");
    case DType::i32:
      return int32.operator()<std::int32_t>();
    case DType::i16:
      return int32.operator()<std::int16_t>();
    case DType::i8:
      return int32.operator()<std::int8_t>();
    case DType::u16:
      return int32.operator()<std::uint16_t>();
    case DType::u8:
      return int32.operator()<std::uint8_t>();
    case DType::boolean:
      return int32.operator()<bool>();
    case DType::f16:
    case DType::bf16:
      return int32.operator()<std::uint16_t>();  // the bits of the number
    default:
      return read_strings(shape, proto);
  }
}

int typed_fields(const onnx_wire::TensorProto& proto) {
  return (proto.float_data_size() != 0) + (proto.int32_data_size() != 0) + (proto.string_data_size() != 0) +
         (proto.int64_data_size() != 0) + (proto.double_data_size() != 0) + (proto.uint64_data_size() != 0);
}

std::size_t alignment_of(DType dtype) {
  return dtype == DType::c64 ? 4 : dtype == DType::c128 ? 8 : element_size(dtype);
}

}  // namespace

Shape TensorReader::read_shape(const google::protobuf::RepeatedField<std::int64_t>& dims) const {
  const ImportLimits& limits = budget_.limits();
  if (static_cast<std::size_t>(dims.size()) > limits.rank) {
    throw_error(ErrorKind::limit, "rank {} exceeds the limit of {}", dims.size(), limits.rank);
  }
  Shape shape(dims.begin(), dims.end());
  for (const std::int64_t dim : shape) {
    if (dim < 0) throw_error(ErrorKind::model, "dimension {} is negative", dim);
  }
  element_count(shape);  // must fit 63 bits, even where no element is stored
  return shape;
}

Tensor TensorReader::read_bytes(DType dtype, Shape shape, std::span<const std::byte> bytes, const MappedFile* source,
                                std::shared_ptr<const void> owner) const {
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  const bool aligned = address % alignment_of(dtype) == 0;
  bool plain = true;
  if (dtype == DType::boolean) {
    for (const std::byte byte : bytes) plain = plain && static_cast<unsigned>(byte) <= 1;
  }
  if (owner && aligned && plain && !bytes.empty()) {
    // Tensor has one kind of pointer for constants and results; the mapping is read-only, so a write would fault.
    return Tensor::view(dtype, std::move(shape), const_cast<std::byte*>(bytes.data()), std::move(owner));
  }
  Tensor tensor = Tensor::allocate(dtype, std::move(shape));
  if (!plain) {
    auto* out = static_cast<bool*>(tensor.raw());
    for (const std::byte byte : bytes) *out++ = byte != std::byte{0};
  } else if (!bytes.empty()) {
    std::memcpy(tensor.raw(), bytes.data(), bytes.size());
  }
  if (source != nullptr) source->release(bytes);  // the copy replaces these pages
  return tensor;
}

Tensor TensorReader::read(const onnx_wire::TensorProto& proto) {
  const DType dtype = read_dtype(proto.data_type());
  if (dtype == DType::undefined) throw_error(ErrorKind::model, "the tensor has no element type");
  if (dtype >= DType::f8e4m3fn) {  // and the sub-byte types, numbered after it
    throw_error(ErrorKind::unsupported, "tensors of type {} are not supported", to_string(dtype));
  }
  if (proto.has_segment()) throw_error(ErrorKind::unsupported, "tensors split into segments are not supported");
  Shape shape = read_shape(proto.dims());
  const std::int64_t count = element_count(shape);
  const ImportLimits& limits = budget_.limits();
  if (count > limits.elements) {
    throw_error(ErrorKind::limit, "{} elements exceed the limit of {}", count, limits.elements);
  }
  const auto width = static_cast<std::uint64_t>(dtype == DType::string ? sizeof(std::string) : element_size(dtype));
  std::uint64_t needed = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(count), width, &needed)) {
    throw_error(ErrorKind::limit, "a tensor of shape {} does not fit memory", to_string(shape));
  }
  budget_.charge_constant(needed);

  const int fields = typed_fields(proto);
  if (proto.data_location() == onnx_wire::TensorProto::EXTERNAL) {
    if (dtype == DType::string) throw_error(ErrorKind::model, "string tensors cannot be external data");
    if (fields != 0 || proto.has_raw_data()) throw_error(ErrorKind::model, "data both in the file and external");
    if (count == 0) return Tensor::allocate(dtype, std::move(shape));
    ExternalData::Part part = external_.find(proto, needed);
    const MappedFile* source = part.file.get();
    return read_bytes(dtype, std::move(shape), part.bytes, source, std::move(part.file));
  }
  if (proto.has_raw_data()) {
    const RawSpan span = decode_raw_span(proto.raw_data());
    // Some writers leave an empty raw_data beside a typed field.
    if (span.length != 0 || fields == 0) {
      if (dtype == DType::string) throw_error(ErrorKind::model, "string tensors cannot be raw data");
      if (fields != 0) throw_error(ErrorKind::model, "data in two fields at once");
      if (span.length != needed) {
        throw_error(ErrorKind::model, "raw_data has {} bytes, {} elements of {} need {}", span.length, count,
                    to_string(dtype), needed);
      }
      return read_bytes(dtype, std::move(shape), file_.subspan(span.offset, span.length), mapping_.get(), mapping_);
    }
  }
  if (fields > 1) throw_error(ErrorKind::model, "data in two fields at once");
  return read_typed(dtype, shape, proto);
}

}  // namespace sparse_run::onnx
