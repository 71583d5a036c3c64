// A node of a resolved graph with its operands at hand.
#pragma once

#include <cstddef>

#include "graph/ir/graph.hpp"

namespace sparse_run::gpu::cuda {

/// Operands and results by position. The graph outlives the view.
class NodeView {
 public:
  NodeView(const Graph& graph, const Node& node) : graph_(&graph), node_(&node) {}

  const Node& node() const noexcept { return *node_; }
  const Graph& graph() const noexcept { return *graph_; }
  std::size_t inputs() const noexcept { return node_->inputs.size(); }
  std::size_t outputs() const noexcept { return node_->outputs.size(); }
  bool has(std::size_t i) const { return i < inputs() && node_->inputs[i] != kNoValue; }
  bool wants(std::size_t i) const { return i < outputs() && node_->outputs[i] != kNoValue; }
  const ValueDef& in(std::size_t i) const { return graph_->value(node_->inputs[i]); }
  const ValueDef& out(std::size_t i = 0) const { return graph_->value(node_->outputs[i]); }
  /// Of values that are there: refusals have seen to it that shapes are concrete.
  const Shape& in_shape(std::size_t i) const { return *in(i).type.shape; }
  const Shape& out_shape(std::size_t i = 0) const { return *out(i).type.shape; }
  DType in_type(std::size_t i) const { return in(i).type.dtype; }
  DType out_type(std::size_t i = 0) const { return out(i).type.dtype; }
  /// The dense constant, or nullptr.
  const Tensor* constant(std::size_t i) const { return has(i) ? in(i).tensor() : nullptr; }

 private:
  const Graph* graph_;
  const Node* node_;
};

}  // namespace sparse_run::gpu::cuda
