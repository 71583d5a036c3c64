// Shape resolution: types of all values for given input types, with everything folded that they determine.
#pragma once

#include <cstddef>
#include <span>

#include "graph/ir/graph.hpp"
#include "graph/passes/evaluator.hpp"

namespace sparse_run {

struct ResolveOptions {
  /// Compute DequantizeLinear of constant weights too, whatever they grow to; a pass that uses the integers turns it off.
  bool fold_dequantize = true;
  /// A fold whose outputs are larger than this and larger than twice its operands is not done.
  std::size_t growth_limit_bytes = std::size_t{16} << 20;
  /// Folding stops after it has computed this much.
  std::size_t total_limit_bytes = std::size_t{1} << 30;
  /// Operators with more work than elements (products, convolutions, recurrences) fold only up to this many operand
  /// elements: load time must not grow without bound.
  std::int64_t heavy_limit_elements = std::int64_t{1} << 18;
};

/// One walk in topological order: infers every node from the types and constants that reach it, folds nodes whose
/// operands are all constants, Shape and Size wherever types answer them, splices in the branch of an If whose
/// condition is constant, and drops nodes that do nothing. In the result every ValueDef::type is what inference
/// found: concrete wherever shapes do not depend on data. Sparse constants stay sparse; bodies of the remaining
/// If, Loop and Scan are left as they are. Weights are shared with `graph`, not copied.
/// `inputs` parallel to graph.inputs() (merged with what the graph declares), `captures` parallel to
/// graph.captures(), or empty to take the declared types. Throws what inference throws, the node named.
Graph resolve(const Graph& graph, std::span<const Type> inputs, Evaluator& evaluator,
              const ResolveOptions& options = {}, std::span<const Type> captures = {});

/// resolve() with the declared input types: what can be known once per model, symbolic dimensions left unknown.
Graph fold_constants(const Graph& graph, Evaluator& evaluator, const ResolveOptions& options = {});

}  // namespace sparse_run
