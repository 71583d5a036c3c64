// What is known of a value before it is computed: kind, element type, shape.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/dtype.hpp"
#include "base/shape.hpp"
#include "graph/ir/value.hpp"

namespace sparse_run {

/// For a tensor: element type (undefined: not known) and shape (nullopt: not even the rank is known; -1: that
/// dimension is not known). For a sequence or optional: the type of what it holds.
struct Type {
  ValueKind kind = ValueKind::tensor;
  DType dtype = DType::undefined;
  std::optional<Shape> shape;
  std::shared_ptr<const Type> element;  // shared: types are copied freely and elements never change

  static Type tensor(DType dtype, std::optional<Shape> shape = std::nullopt) {
    return {ValueKind::tensor, dtype, std::move(shape), nullptr};
  }
  static Type sequence(Type element) {
    return {ValueKind::sequence, DType::undefined, std::nullopt, std::make_shared<const Type>(std::move(element))};
  }
  static Type optional(Type element) {
    return {ValueKind::optional, DType::undefined, std::nullopt, std::make_shared<const Type>(std::move(element))};
  }
  /// The type of an existing value.
  static Type of(const Value& value);

  /// A tensor whose element type and every dimension are known.
  bool is_concrete() const noexcept {
    return kind == ValueKind::tensor && dtype != DType::undefined && shape && sparse_run::is_concrete(*shape);
  }
};

/// "f32[1x3x224x224]", "sequence(f32[?])".
std::string to_string(const Type& type);

/// What two descriptions of the same value say together; Error(model) when they contradict each other.
Type merge(const Type& a, const Type& b);
/// What holds for either (branches of an If, iterations of a Loop): differing dimensions become unknown.
Type generalize(const Type& a, const Type& b);

}  // namespace sparse_run
