// The contract between a compiled CPU program and the kernels it is made of.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "cpu/column/column_mode.hpp"
#include "cpu/selection/weight_facts.hpp"
#include "device/device.hpp"
#include "device/machine.hpp"
#include "device/precision.hpp"
#include "graph/ir/graph.hpp"

namespace sparse_run::cpu {

class AdjacencyCache;
class WorkspacePool;  // cpu/graph_kernels/adjacency.hpp

/// What a step finds when it runs. Operands and planned outputs are complete tensors; `scratch` is 64-byte aligned
/// and holds as many bytes as the step asked for.
struct StepArguments {
  std::span<Value> values;            ///< of the whole program, indexed by slot
  std::span<const int> inputs;        ///< slots of the operands; -1: omitted
  std::span<const int> outputs;       ///< slots of the results; -1: not wanted
  std::byte* scratch = nullptr;
  RunState* state = nullptr;
  /// Of a step of several layers, when times are wanted: receives the computing time of each, over all threads.
  std::span<std::int64_t> layer_ns = {};

  bool has_input(std::size_t i) const { return i < inputs.size() && inputs[i] >= 0; }
  bool has_output(std::size_t i) const { return i < outputs.size() && outputs[i] >= 0; }
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
  virtual double flops() const { return 0; }               ///< multiplications and additions it executes
  virtual bool skips_zeros() const { return false; }       ///< of weights: flops() are those on non-zeros alone
};

/// A node as kernel selection sees it: concrete operand types and constants. What it finds out of weights it keeps, so
/// that the candidates of a node share it: for one thread.
class NodeView {
 public:
  NodeView(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}
  NodeView(const NodeView&) = delete;
  NodeView& operator=(const NodeView&) = delete;

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
  /// The operand as a weight whose zeros count, dense or COO; nullptr when it is no f32 constant.
  const WeightFacts* weight(std::size_t i) const;
  /// Share of zeros of weight(i); 0 when there is none.
  double zeros(std::size_t i) const { return weight(i) == nullptr ? 0 : weight(i)->zeros(); }
  /// Frees what kernels gathered of weights.
  void forget_matrices() const {
    for (const auto& [operand, facts] : weights_) facts.forget_matrices();
  }
  /// True when every operand and result is a tensor of concrete shape.
  bool concrete() const;
  /// concrete() and every operand and result is f32.
  bool all_f32() const;

 private:
  const Graph& graph_;
  const Node& node_;
  mutable std::map<std::size_t, WeightFacts> weights_;  ///< by operand
};

/// What kernels may know of where they will run.
struct Environment {
  const Machine& machine;
  int threads = 1;
  /// One of KernelEntry::variants, when building; empty: the kernel's own first choice.
  std::string_view variant = {};
  ColumnMode columns = ColumnMode::automatic;
  Precision precision = Precision::f32;  ///< the lowest that kernels may multiply in
  /// Grouped edge lists that the steps of a device share; null: every step keeps its own.
  std::shared_ptr<AdjacencyCache> adjacencies = nullptr;
  /// Working memory that programs of a device share; null: a program has its own.
  std::shared_ptr<WorkspacePool> workspaces = nullptr;
};

}  // namespace sparse_run::cpu
