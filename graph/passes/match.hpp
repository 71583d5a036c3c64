// Questions that pattern matching asks of a graph under construction.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/ir/graph.hpp"
#include "graph/passes/scalar.hpp"

namespace sparse_run {

inline const Type& type_of(const GraphBuilder& graph, ValueId id) { return graph.value(id).type; }

/// The dense constant behind an operand; nullptr when there is none or the operand is omitted.
const Tensor* constant_of(const GraphBuilder& graph, ValueId id);

/// The number behind an operand that is a constant of one element.
std::optional<double> scalar_of(const GraphBuilder& graph, ValueId id);

/// The node that computes a value; nullptr for inputs, constants, captures and kNoValue. The pointer is good until
/// a node is added.
const Node* producer_of(const GraphBuilder& graph, ValueId id);
/// The same, if that node is `op` of ai.onnx and the value is its first output.
const Node* producer_of(const GraphBuilder& graph, ValueId id, std::string_view op);

/// True when exactly one operand of one node reads the value, and it is no graph output: then the value may vanish.
bool read_once(const GraphBuilder& graph, ValueId id);
/// producer_of, only when the value may vanish as well.
const Node* sole_producer_of(const GraphBuilder& graph, ValueId id, std::string_view op);

/// True for graph inputs, captures and outputs.
bool has_public_name(const GraphBuilder& graph, ValueId id);

/// The permutation of a Transpose, the default spelled out; empty when the rank is not known.
std::vector<std::int64_t> permutation_of(const GraphBuilder& graph, const Node& node);

/// Operand of a two-operand node that is a one-element constant, and the other one: {other, constant}.
struct ScaledOperand {
  ValueId value;
  double scalar;
};
/// For Add and Mul in either order, for Div, Sub and Pow only with the scalar second.
std::optional<ScaledOperand> scalar_operand(const GraphBuilder& graph, const Node& node);

/// True when node is `op` and has operand `id` in either place; the other operand is then returned.
std::optional<ValueId> other_operand(const Node& node, ValueId id);

/// The axes of a Reduce*, Squeeze or Unsqueeze node, given as attribute or as constant operand 1; nullopt when they
/// are computed. Empty: not given.
std::optional<std::vector<std::int64_t>> axes_of(const GraphBuilder& graph, const Node& node);

/// True when a reduction is over the last axis alone and keeps it.
bool reduces_last_axis(const GraphBuilder& graph, const Node& node);

/// Rank of a value, when it is known.
std::optional<std::size_t> rank_of(const GraphBuilder& graph, ValueId id);

}  // namespace sparse_run
