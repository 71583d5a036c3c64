// Type inference over whole graphs: from the types of the inputs to the type of every value.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "graph/ops/schema.hpp"

namespace sparse_run {

/// Infers output types of one node. `inputs` parallel to node.inputs (ignored where omitted), `constants` likewise
/// (nullptr where not known), `captures` parallel to node.captures. Returns types parallel to node.outputs.
/// Throws Error(unsupported) naming node, operator and opset for an unknown operator or a wrong opset,
/// Error(model) for a wrong operand count, a sequence or optional given to an operator of tensors, or what the
/// operator's inference refuses; the node is in the context.
std::vector<Type> infer_node(const Node& node, std::span<const Type> inputs, std::span<const Tensor* const> constants,
                             std::span<const Type> captures);

/// Checks without types that every node, bodies included, is a known operator with a legal operand count:
/// Error(unsupported) or Error(model) naming the node.
void check_operators(const Graph& graph);

/// The type of a graph's input that declares one type and is given another: what both say, Error(model) when they
/// contradict each other. A sequence or tensor given to an optional input is present, and keeps its type: that is how
/// the state of a loop may begin as an optional.
Type input_type(const Type& declared, const Type& given);

/// Types of all values, indexed by ValueId. `inputs` and `captures` parallel to graph.inputs()/captures(); what they
/// say is merged with what the graph itself declares of its inputs. Declared types of intermediate values are hints
/// of the model and are not trusted.
std::vector<Type> infer_graph(const Graph& graph, std::span<const Type> inputs, std::span<const Type> captures);

}  // namespace sparse_run
