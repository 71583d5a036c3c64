// Writing and reading values.
#include "runtime/distributed/wire.hpp"

namespace sparse_run {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr int kDeepest = 16;
constexpr std::size_t kHighestRank = 64;

[[noreturn]] void refuse() { throw_error(ErrorKind::comm, "a message between ranks is damaged"); }

DType checked(DType dtype) {
  if (dtype < DType::undefined || (dtype != DType::undefined && dtype != DType::string && element_size(dtype) == 0)) {
    refuse();
  }
  return dtype;
}

}  // namespace

void WireWriter::put(std::string_view text) {
  put(text.size());
  put_bytes(std::as_bytes(std::span(text)));
}

void WireWriter::put_bytes(std::span<const std::byte> bytes) {
  const std::size_t at = bytes_.size();
  bytes_.resize(at + bytes.size());
  if (!bytes.empty()) std::memcpy(bytes_.data() + at, bytes.data(), bytes.size());
}

void WireWriter::put(const Shape& shape) {
  put(shape.size());
  for (const std::int64_t dim : shape) put(dim);
}

void WireWriter::put(const Type& type) {
  put(type.kind);
  put(type.dtype);
  put(type.shape.has_value());
  if (type.shape) put(*type.shape);
  put(type.element != nullptr);
  if (type.element) put(*type.element);
}

void WireWriter::put(const Value& value) {
  put(value.kind);
  if (!value.is_tensor()) {
    put(std::span<const Value>(value.elements));
    return;
  }
  const Tensor& tensor = value.tensor;
  put(tensor.dtype());
  if (tensor.empty_handle()) return;
  put(tensor.shape());
  if (tensor.dtype() == DType::string) {
    for (const std::string& text : tensor.data<std::string>()) put(std::string_view(text));
    return;
  }
  bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment);
  put_bytes({static_cast<const std::byte*>(tensor.raw()), tensor.bytes()});
}

void WireWriter::put(std::span<const Value> values) {
  put(values.size());
  for (const Value& value : values) put(value);
}

const std::byte* WireReader::next(std::size_t size) {
  if (size > bytes_->size() - at_) refuse();
  const std::byte* here = bytes_->data() + at_;
  at_ += size;
  return here;
}

std::size_t WireReader::count(std::size_t least_bytes) {
  const auto number = get<std::size_t>();
  if (number > (bytes_->size() - at_) / std::max<std::size_t>(least_bytes, 1)) refuse();
  return number;
}

std::string WireReader::text() {
  const std::size_t size = count(1);
  const std::byte* from = next(size);
  return {reinterpret_cast<const char*>(from), size};
}

std::vector<std::byte> WireReader::bytes() {
  const std::size_t size = count(1);
  const std::byte* from = next(size);
  return {from, from + size};
}

Shape WireReader::shape() {
  const std::size_t rank = count(sizeof(std::int64_t));
  if (rank > kHighestRank) refuse();
  Shape shape(rank);
  for (std::int64_t& dim : shape) dim = get<std::int64_t>();
  return shape;
}

Type WireReader::type(int depth) {
  if (depth > kDeepest) refuse();
  Type type;
  type.kind = get<ValueKind>();
  if (type.kind < ValueKind::tensor || type.kind > ValueKind::optional) refuse();
  type.dtype = checked(get<DType>());
  if (get<bool>()) type.shape = shape();
  if (get<bool>()) type.element = std::make_shared<const Type>(this->type(depth + 1));
  return type;
}

Value WireReader::value(int depth) {
  if (depth > kDeepest) refuse();
  Value value;
  value.kind = get<ValueKind>();
  if (value.kind == ValueKind::sequence || value.kind == ValueKind::optional) {
    const std::size_t size = count(sizeof(ValueKind));
    for (std::size_t i = 0; i < size; ++i) value.elements.push_back(this->value(depth + 1));
    return value;
  }
  if (value.kind != ValueKind::tensor) refuse();
  const DType dtype = checked(get<DType>());
  if (dtype == DType::undefined) return value;
  Shape shape = this->shape();
  for (const std::int64_t dim : shape) {
    if (dim < 0) refuse();
  }
  const std::int64_t elements = element_count(shape);
  if (dtype == DType::string) {
    if (static_cast<std::size_t>(elements) > (bytes_->size() - at_) / sizeof(std::size_t)) refuse();
    value.tensor = Tensor::allocate(dtype, std::move(shape));
    for (std::string& text : value.tensor.data<std::string>()) text = this->text();
    return value;
  }
  at_ = std::min((at_ + kAlignment - 1) / kAlignment * kAlignment, bytes_->size());
  if (static_cast<std::size_t>(elements) > (bytes_->size() - at_) / element_size(dtype)) refuse();
  const std::byte* data = next(static_cast<std::size_t>(elements) * element_size(dtype));
  if (dtype == DType::boolean || reinterpret_cast<std::uintptr_t>(data) % element_size(dtype) != 0) {
    value.tensor = Tensor::allocate(dtype, std::move(shape));
    if (elements > 0) std::memcpy(value.tensor.raw(), data, value.tensor.bytes());
    return value;
  }
  value.tensor = Tensor::view(dtype, std::move(shape), const_cast<std::byte*>(data), bytes_);
  return value;
}

std::vector<Value> WireReader::values() {
  const std::size_t size = count(sizeof(ValueKind));
  std::vector<Value> values;
  for (std::size_t i = 0; i < size; ++i) values.push_back(value());
  return values;
}

}  // namespace sparse_run
