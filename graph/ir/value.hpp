// What flows along an edge of a graph at run time: a tensor, a sequence, or an optional that may be empty.
#pragma once

#include <utility>
#include <vector>

#include "graph/ir/tensor.hpp"

namespace sparse_run {

enum class ValueKind { tensor, sequence, optional };

/// A run-time value. A sequence holds values of one type in `elements`; an optional holds zero or one.
struct Value {
  ValueKind kind = ValueKind::tensor;
  Tensor tensor;
  std::vector<Value> elements;

  Value() = default;
  Value(Tensor t) : tensor(std::move(t)) {}  // NOLINT(google-explicit-constructor): a tensor is a value
  static Value sequence(std::vector<Value> elements) {
    Value value;
    value.kind = ValueKind::sequence;
    value.elements = std::move(elements);
    return value;
  }
  static Value none() {
    Value value;
    value.kind = ValueKind::optional;
    return value;
  }
  static Value some(Value content) {
    Value value;
    value.kind = ValueKind::optional;
    value.elements.push_back(std::move(content));
    return value;
  }
  bool is_tensor() const noexcept { return kind == ValueKind::tensor; }
  /// True for a default-constructed value: an omitted input, or an output not computed yet.
  bool absent() const noexcept { return kind == ValueKind::tensor && tensor.empty_handle(); }
};

}  // namespace sparse_run
