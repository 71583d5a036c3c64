// Descriptions of values: printing, combining.
#include "graph/ir/type.hpp"

namespace sparse_run {

Type Type::of(const Value& value) {
  switch (value.kind) {
    case ValueKind::tensor: return tensor(value.tensor.dtype(), value.tensor.shape());
    case ValueKind::sequence: {
      if (value.elements.empty()) return sequence(Type{});
      Type element = of(value.elements.front());
      for (const Value& other : value.elements) element = generalize(element, of(other));
      return sequence(element);
    }
    case ValueKind::optional:
      return optional(value.elements.empty() ? Type{} : of(value.elements.front()));
  }
  return {};
}

std::string to_string(const Type& type) {
  if (type.kind != ValueKind::tensor) {
    const std::string inner = type.element ? to_string(*type.element) : "?";
    return (type.kind == ValueKind::sequence ? "sequence(" : "optional(") + inner + ")";
  }
  std::string text(to_string(type.dtype));
  return text + "[" + (type.shape ? to_string(*type.shape) : "...") + "]";
}

Type merge(const Type& a, const Type& b) {
  if (a.kind != b.kind) {
    // "tensor of nothing known" is also what an untyped value says of itself
    if (a.kind == ValueKind::tensor && a.dtype == DType::undefined && !a.shape) return b;
    if (b.kind == ValueKind::tensor && b.dtype == DType::undefined && !b.shape) return a;
    throw_error(ErrorKind::model, "one description says {}, another {}", to_string(a), to_string(b));
  }
  if (a.kind != ValueKind::tensor) {
    if (!a.element) return b;
    if (!b.element) return a;
    Type result = a;
    result.element = std::make_shared<const Type>(merge(*a.element, *b.element));
    return result;
  }
  Type result = a;
  if (result.dtype == DType::undefined) result.dtype = b.dtype;
  if (b.dtype != DType::undefined && b.dtype != result.dtype) {
    throw_error(ErrorKind::model, "one description says {}, another {}", to_string(a), to_string(b));
  }
  if (!result.shape) {
    result.shape = b.shape;
  } else if (b.shape) {
    if (b.shape->size() != result.shape->size()) {
      throw_error(ErrorKind::model, "one description says {}, another {}", to_string(a), to_string(b));
    }
    for (std::size_t i = 0; i < result.shape->size(); ++i) {
      std::int64_t& dim = (*result.shape)[i];
      const std::int64_t other = (*b.shape)[i];
      if (dim < 0) dim = other;
      if (other >= 0 && other != dim) {
        throw_error(ErrorKind::model, "one description says {}, another {}", to_string(a), to_string(b));
      }
    }
  }
  return result;
}

Type generalize(const Type& a, const Type& b) {
  if (a.kind != b.kind) return {};
  if (a.kind != ValueKind::tensor) {
    if (!a.element || !b.element) return a.element ? a : b;
    Type result = a;
    result.element = std::make_shared<const Type>(generalize(*a.element, *b.element));
    return result;
  }
  Type result;
  result.dtype = a.dtype == b.dtype ? a.dtype : DType::undefined;
  if (a.shape && b.shape && a.shape->size() == b.shape->size()) {
    result.shape = a.shape;
    for (std::size_t i = 0; i < a.shape->size(); ++i) {
      if ((*a.shape)[i] != (*b.shape)[i]) (*result.shape)[i] = kUnknownDim;
    }
  }
  return result;
}

}  // namespace sparse_run
