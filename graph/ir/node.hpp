// One operator application: its name, operands and attributes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "graph/ir/tensor.hpp"
#include "graph/ir/type.hpp"

namespace sparse_run {

class Graph;

/// Index of a value within its graph. kNoValue stands for an omitted optional operand.
using ValueId = std::uint32_t;
inline constexpr ValueId kNoValue = 0xffffffffu;
/// Index of a node within its graph; nodes are in topological order.
using NodeId = std::uint32_t;

/// Graphs held by attributes are shared: copies of a node made by passes refer to the same immutable body.
using GraphPtr = std::shared_ptr<const Graph>;

using Attribute = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>, std::vector<float>,
                               std::vector<std::string>, Tensor, SparseTensor, GraphPtr, Type>;

/// The domain of operators that passes create and no model contains.
inline constexpr std::string_view kInternalDomain = "sparse_run";

/// The ONNX domain "ai.onnx" is stored as "".
struct Node {
  std::string name;    ///< unique within the graph; invented by the importer where the model gives none
  std::string op;      ///< "Conv"
  std::string domain;  ///< "" for ai.onnx
  int opset = 1;       ///< the model's version of `domain`: kernels and inference follow its semantics
  std::vector<ValueId> inputs;   ///< kNoValue: omitted; trailing omitted operands are dropped
  std::vector<ValueId> outputs;  ///< kNoValue: not wanted
  std::map<std::string, Attribute, std::less<>> attributes;
  /// Values of this graph that the node's bodies read: for each body attribute in the order of `attributes`, the
  /// outer counterparts of body.captures().
  std::vector<ValueId> captures;

  bool is(std::string_view name_of_op, std::string_view domain_of_op = "") const noexcept {
    return op == name_of_op && domain == domain_of_op;
  }
  bool has(std::string_view attribute) const { return attributes.find(attribute) != attributes.end(); }

  /// The attribute, or `fallback` when it is absent. Error(model) naming it when it has another type.
  std::int64_t int_or(std::string_view attribute, std::int64_t fallback) const;
  float float_or(std::string_view attribute, float fallback) const;
  std::string string_or(std::string_view attribute, std::string_view fallback) const;
  std::vector<std::int64_t> ints_or(std::string_view attribute, std::vector<std::int64_t> fallback = {}) const;
  std::vector<float> floats_or(std::string_view attribute, std::vector<float> fallback = {}) const;
  std::vector<std::string> strings_or(std::string_view attribute, std::vector<std::string> fallback = {}) const;
  /// The attribute; Error(model) when it is missing or has another type. T is one of Attribute's alternatives.
  template <class T>
  const T& get(std::string_view attribute) const;
  /// The attribute, or nullptr when it is absent. Error(model) when it has another type.
  template <class T>
  const T* find(std::string_view attribute) const;

  /// "node 'conv1' (Conv)", for error messages.
  std::string describe() const;
};

[[noreturn]] void throw_attribute_type(std::string_view attribute);
[[noreturn]] void throw_attribute_missing(std::string_view attribute);

template <class T>
const T* Node::find(std::string_view attribute) const {
  const auto found = attributes.find(attribute);
  if (found == attributes.end()) return nullptr;
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) throw_attribute_type(attribute);
  return value;
}

template <class T>
const T& Node::get(std::string_view attribute) const {
  const T* value = find<T>(attribute);
  if (value == nullptr) throw_attribute_missing(attribute);
  return *value;
}

}  // namespace sparse_run
