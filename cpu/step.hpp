// The contract between a compiled CPU program and the kernels it is made of.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "device/device.hpp"
#include "device/machine.hpp"
#include "graph/ir/graph.hpp"

namespace sparse_run::cpu {

/// What a step finds when it runs. Operands and planned outputs are complete tensors; `scratch` is 64-byte aligned
/// and holds as many bytes as the step asked for.
struct StepArguments {
  std::span<Value> values;            ///< of the whole program, indexed by slot
  std::span<const int> inputs;        ///< slots of the operands; -1: omitted
  std::span<const int> outputs;       ///< slots of the results; -1: not wanted
  std::byte* scratch = nullptr;
  RunState* state = nullptr;

  bool has_input(std::size_t i) const { return i < inputs.size() && inputs[i] >= 0; }
  const Tensor& input(std::size_t i) const { return values[static_cast<std::size_t>(inputs[i])].tensor; }
  Tensor& output(std::size_t i) const { return values[static_cast<std::size_t>(outputs[i])].tensor; }
  template <class T>
  const T* in(std::size_t i) const { return static_cast<const T*>(input(i).raw()); }
  template <class T>
  T* out(std::size_t i) const { return static_cast<T*>(output(i).raw()); }
};

/// One compiled operation: immutable, run by several executions at once. It parallelises over TBB by itself.
class Step {
 public:
  virtual ~Step() = default;
  virtual void run(const StepArguments& arguments) const = 0;
  virtual std::size_t scratch_bytes() const { return 0; }  ///< per execution
  virtual std::size_t weight_bytes() const { return 0; }   ///< packed constants it holds
  virtual double flops() const { return 0; }               ///< multiplications and additions on non-zeros
};

/// A node as kernel selection sees it: concrete operand types and constants.
class NodeView {
 public:
  NodeView(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}

  const Node& node() const { return node_; }
  const Graph& graph() const { return graph_; }
  std::size_t input_count() const { return node_.inputs.size(); }
  bool has_input(std::size_t i) const { return i < node_.inputs.size() && node_.inputs[i] != kNoValue; }
  bool has_output(std::size_t i) const { return i < node_.outputs.size() && node_.outputs[i] != kNoValue; }
  const Type& input_type(std::size_t i) const { return graph_.value(node_.inputs[i]).type; }
  const Type& output_type(std::size_t i) const { return graph_.value(node_.outputs[i]).type; }
  const Shape& input_shape(std::size_t i) const { return *input_type(i).shape; }
  const Shape& output_shape(std::size_t i) const { return *output_type(i).shape; }
  /// The operand's dense constant, or nullptr.
  const Tensor* constant(std::size_t i) const { return has_input(i) ? graph_.value(node_.inputs[i]).tensor() : nullptr; }
  const SparseTensor* sparse_constant(std::size_t i) const {
    return has_input(i) ? graph_.value(node_.inputs[i]).sparse() : nullptr;
  }
  /// True when every operand and result is a tensor of concrete shape.
  bool concrete() const;
  /// concrete() and every operand and result is f32.
  bool all_f32() const;

 private:
  const Graph& graph_;
  const Node& node_;
};

/// What kernels may know of where they will run.
struct Environment {
  const Machine& machine;
  int threads = 1;
};

}  // namespace sparse_run::cpu
