// The oracle: one plain, obviously right kernel per operator, and the context such a kernel runs in.
#pragma once

#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/ops/schema.hpp"

namespace sparse_run::reference {

/// What a reference kernel sees. Operands are complete when it runs, outputs are never aliased to operands.
/// Not thread-safe: one context per execution.
class Context {
 public:
  virtual ~Context() = default;

  virtual const Node& node() const = 0;
  int opset() const { return node().opset; }
  std::size_t input_count() const { return node().inputs.size(); }
  bool has_input(std::size_t i) const { return i < node().inputs.size() && node().inputs[i] != kNoValue; }
  bool has_output(std::size_t i) const { return i < node().outputs.size() && node().outputs[i] != kNoValue; }

  /// Operand i of any kind; Error(model) when it is omitted.
  virtual const Value& input_value(std::size_t i) const = 0;
  /// Operand i, which must be a tensor (Error(model) otherwise).
  const Tensor& input(std::size_t i) const;
  /// Output i under its inferred type and shape, allocated. Error(internal) when inference left it open: then use
  /// allocate(). An output that is not wanted gets scratch memory, so kernels need not ask.
  virtual Tensor& output(std::size_t i) = 0;
  /// Output i with a shape only the kernel knows (data-dependent operators).
  virtual Tensor& allocate(std::size_t i, DType dtype, Shape shape) = 0;
  /// Output i of another kind: sequence, optional, or a tensor that shares an operand's memory (Identity, If).
  virtual void set_output(std::size_t i, Value value) = 0;
  /// Runs the body in `attribute` on `inputs` (captures are supplied by the context); its outputs in order.
  virtual std::vector<Value> run_body(std::string_view attribute, std::span<const Value> inputs) = 0;
  /// Source of random operators, seeded by the session.
  virtual std::mt19937_64& random() = 0;
};

/// Throws Error(input) when values break the operator's contract at run time (an index out of range) and
/// Error(unsupported) for an element type or attribute that has no implementation, naming it.
using Kernel = void (*)(Context&);

/// Kernels by (domain, operator). Const and thread-safe once built.
class Table {
 public:
  void add(std::string_view op, Kernel kernel, std::string_view domain = "");
  Kernel find(const Node& node) const;  ///< nullptr when there is none
  std::size_t size() const noexcept { return kernels_.size(); }

  /// Every reference kernel, built on first use.
  static const Table& standard();

 private:
  std::map<std::pair<std::string_view, std::string_view>, Kernel> kernels_;
};

// One registration function per operator family, as in graph/ops/schema.hpp; defined in cpu/reference/<family>.cpp.
void register_elementwise(Table& table);
void register_reduction(Table& table);
void register_convolution(Table& table);
void register_matrix(Table& table);
void register_movement(Table& table);
void register_control(Table& table);
void register_internal(Table& table);

/// Runs a whole graph, node by node, with reference kernels only: the oracle of every test and the evaluator of
/// constant folding. `inputs` in the order of graph.inputs(); returns the outputs in order. Types are inferred from
/// the actual inputs as execution proceeds. Throws what the kernels throw, with the node named.
std::vector<Value> run_graph(const Graph& graph, std::span<const Value> inputs, std::uint64_t seed = 0);

/// The same for one node: `inputs` parallel to node.inputs (absent values for omitted ones), `captures` parallel to
/// node.captures.
std::vector<Value> run_node(const Node& node, std::span<const Value> inputs, std::span<const Value> captures,
                            std::mt19937_64& random);

}  // namespace sparse_run::reference
