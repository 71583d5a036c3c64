// A graph while it is imported: its builder, the graph around it, and what it captures from there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run::onnx {

/// One graph or body under construction.
class Frame {
 public:
  /// `outer`: the frame of the enclosing graph, which outlives this one; nullptr for the model's graph.
  Frame(std::string graph_name, Frame* outer) : builder_(std::move(graph_name)), outer_(outer) {}

  GraphBuilder& builder() noexcept { return builder_; }

  /// Adds a value; a name that is taken in this graph gets a suffix.
  ValueId add_value(std::string name, Type type = {}, std::vector<std::string> symbols = {});
  ValueId add_input(std::string name, Type type, std::vector<std::string> symbols);
  void set_constant(ValueId id, Constant constant);

  /// A node name that no other node of this graph has.
  std::string unique_node_name(std::string wanted) { return unique(std::move(wanted), node_names_); }

  /// The value of this graph that stands for `id` of `origin`, this frame or one around it. Every graph in between
  /// captures it; a constant is shared instead, so that shapes given by constants are known inside bodies too.
  ValueId pull(Frame& origin, ValueId id);

  /// What the built graph captures: values of the outer frame, parallel to Graph::captures().
  const std::vector<ValueId>& captured() const noexcept { return captured_; }

 private:
  std::string unique(std::string wanted, std::unordered_set<std::string>& taken);

  GraphBuilder builder_;
  Frame* outer_;
  std::vector<ValueId> captured_;
  std::unordered_map<ValueId, ValueId> from_outer_;
  std::unordered_set<std::string> value_names_;
  std::unordered_set<std::string> node_names_;
  std::size_t next_suffix_ = 1;  // only grows, so that many equal names cost no more than many different ones
};

/// Names that are visible at one place: of a graph, a body or an inlined function.
class Scope {
 public:
  /// `outer`: where names not found here are looked up; nullptr for the model's graph and for functions.
  Scope(Frame& frame, const Scope* outer) : frame_(&frame), outer_(outer) {}

  Frame& frame() const noexcept { return *frame_; }

  /// Binds a name, which must outlive the scope, to a value of frame() or to kNoValue (an omitted function operand).
  /// Error(model) when this scope has the name already, or a scope around it has: ONNX forbids shadowing.
  void define(std::string_view name, ValueId id);

  bool defines(std::string_view name) const { return names_.contains(name); }

  /// Sets aside an existing value of frame() for a name that is yet to be defined: a function's output.
  void reserve(std::string_view name, ValueId id) { reserved_.emplace(name, id); }
  /// Defines a reserved name as its value; false when the name is not reserved. A name is claimed only once.
  bool claim(std::string_view name);

  /// The value of `user` (frame() or a frame inside it) that a name stands for; nullopt when nothing has that name.
  std::optional<ValueId> find(std::string_view name, Frame& user) const;

 private:
  Frame* frame_;
  const Scope* outer_;
  std::unordered_map<std::string_view, ValueId> names_;
  std::unordered_map<std::string_view, ValueId> reserved_;
};

}  // namespace sparse_run::onnx
