// The graph: values and nodes in topological order, immutable once built; and the builder that makes one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "graph/ir/node.hpp"

namespace sparse_run {

/// A constant operand: dense, or sparse as the model gave it.
using Constant = std::variant<Tensor, SparseTensor>;

/// One value of a graph: a graph input, a constant, a captured outer value, or a node's output.
struct ValueDef {
  std::string name;  ///< unique within the graph
  Type type;
  /// Names of symbolic dimensions, parallel to the shape ("" where the dimension is a number or anonymous).
  /// Only graph inputs and outputs carry them.
  std::vector<std::string> symbols;
  std::optional<Constant> constant;

  /// The dense constant, or nullptr.
  const Tensor* tensor() const noexcept { return constant ? std::get_if<Tensor>(&*constant) : nullptr; }
  const SparseTensor* sparse() const noexcept { return constant ? std::get_if<SparseTensor>(&*constant) : nullptr; }
};

/// Immutable; freely shared between threads. Node and value ids are dense indices.
class Graph {
 public:
  const std::string& name() const noexcept { return name_; }
  std::span<const Node> nodes() const noexcept { return nodes_; }  ///< in topological order
  const Node& node(NodeId id) const { return nodes_[id]; }
  std::span<const ValueDef> values() const noexcept { return values_; }
  const ValueDef& value(ValueId id) const { return values_[id]; }
  /// Inputs a caller must give (constants used as defaults are not among them).
  std::span<const ValueId> inputs() const noexcept { return inputs_; }
  std::span<const ValueId> outputs() const noexcept { return outputs_; }
  /// In a body (of If, Loop, Scan): the values that stand for values of the enclosing graph. The node that holds
  /// the body lists the outer ones in the same order (Node::captures).
  std::span<const ValueId> captures() const noexcept { return captures_; }

  /// The node that computes a value; nullopt for inputs, constants and captures.
  std::optional<NodeId> producer(ValueId id) const;
  /// Nodes that read a value as an operand or capture it in a body, ascending, each once.
  std::span<const NodeId> consumers(ValueId id) const { return consumers_[id]; }
  bool is_output(ValueId id) const { return is_output_[id]; }
  std::optional<ValueId> find_value(std::string_view name) const;

 private:
  friend class GraphBuilder;
  std::string name_;
  std::vector<Node> nodes_;
  std::vector<ValueDef> values_;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> outputs_;
  std::vector<ValueId> captures_;
  std::vector<std::optional<NodeId>> producers_;
  std::vector<std::vector<NodeId>> consumers_;
  std::vector<bool> is_output_;
};

/// The part of node.captures that belongs to the body in `attribute`: outer values, parallel to body.captures().
std::span<const ValueId> captures_of(const Node& node, std::string_view attribute);

/// Makes graphs, from nothing or by editing a copy of an existing one. Not thread-safe.
/// build() sorts nodes topologically, drops values nothing refers to (ids change: dense again) and checks that
/// every operand is an input, a constant, a capture or the output of exactly one node, and that there is no cycle;
/// otherwise Error(model) names the value or node.
class GraphBuilder {
 public:
  GraphBuilder() = default;
  explicit GraphBuilder(std::string name) : name_(std::move(name)) {}
  explicit GraphBuilder(const Graph& graph);
  explicit GraphBuilder(Graph&& graph);  ///< takes nodes and values over instead of copying them

  // Reading: ids are those of this builder and stay stable until build().
  const ValueDef& value(ValueId id) const { return values_[id]; }
  ValueDef& value(ValueId id) { return values_[id]; }
  std::size_t value_count() const noexcept { return values_.size(); }
  std::size_t node_count() const noexcept { return nodes_.size(); }  ///< removed ones included
  bool removed(NodeId id) const { return removed_[id]; }
  const Node& node(NodeId id) const { return nodes_[id]; }
  /// To edit the node. Write through the reference before the next call of producer, consumers, make_constant or
  /// replace_uses: those take notice of edits made until then.
  Node& node(NodeId id);
  std::span<const ValueId> inputs() const noexcept { return inputs_; }
  std::span<const ValueId> outputs() const noexcept { return outputs_; }
  std::span<const ValueId> captures() const noexcept { return captures_; }
  bool is_output(ValueId id) const { return output_set_.contains(id); }
  /// The node, not removed, that computes a value; nullopt for inputs, constants and captures.
  std::optional<NodeId> producer(ValueId id) const;
  /// Nodes, not removed, that read a value as an operand or capture it, ascending, each once.
  std::vector<NodeId> consumers(ValueId id) const;

  // Making. Names are made unique by a suffix when they are taken; add_value("") invents one.
  ValueId add_value(std::string name, Type type = {});
  ValueId add_input(std::string name, Type type, std::vector<std::string> symbols = {});
  ValueId add_constant(std::string name, Constant constant);
  ValueId add_capture(std::string name, Type type);
  NodeId add_node(Node node);
  void add_output(ValueId id);
  void set_outputs(std::vector<ValueId> outputs);
  void set_name(std::string name) { name_ = std::move(name); }

  // Editing.
  /// Turns a value into a constant; the node that computed it keeps running unless nothing else needs it.
  void make_constant(ValueId id, Constant constant);
  void remove_node(NodeId id) { removed_[id] = true; }
  /// Every use of `from`, graph outputs and captures included, becomes a use of `to`. A graph output
  /// keeps its public name.
  void replace_uses(ValueId from, ValueId to);

  /// Removes nodes none of whose outputs reach a graph output, then checks, sorts and compacts.
  Graph build() &&;

 private:
  static constexpr NodeId kNoNode = 0xffffffffu;

  std::string unique_name(std::string name);
  void set_constant(ValueId id, Constant constant);
  void mark_edited(NodeId id);
  void update_index() const;

  std::string name_;
  std::vector<Node> nodes_;
  std::vector<bool> removed_;
  // Who reads and who writes each value, brought up to date when asked for. `readers_` may also list nodes that no
  // longer read the value: queries check. Without it each edit would scan all nodes.
  mutable std::vector<std::vector<NodeId>> readers_;
  mutable std::vector<NodeId> writers_;
  mutable std::vector<NodeId> edited_;   // nodes whose operands are not in the index yet
  mutable std::vector<bool> is_edited_;  // by node
  std::vector<ValueDef> values_;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> outputs_;
  std::vector<ValueId> captures_;
  std::unordered_set<ValueId> output_set_;
  std::unordered_map<std::string, ValueId> names_;
};

}  // namespace sparse_run
