// What the fusing passes share: following the only reader of a result, and activations as fused operators name them.
#pragma once

#include <optional>

#include "graph/ir/graph.hpp"
#include "graph/ops/fused_activation.hpp"

namespace sparse_run {

/// The one node that reads `id` as one operand, when the value may vanish (it is no graph output).
std::optional<NodeId> sole_reader(const GraphBuilder& graph, ValueId id);

/// The activation that a node computes of operand 0, when fused operators have a fast form of it; nullopt otherwise.
std::optional<FusedActivation> activation_of(const GraphBuilder& graph, const Node& node);

/// A product or convolution on its way to a fused operator: what has been absorbed so far. The values read after it
/// are followed with absorb(); the last absorbed node is then replaced.
struct FusedTail {
  ValueId result = kNoValue;                  ///< what the fused operator computes
  std::optional<NodeId> last = std::nullopt;  ///< the node that computed `result` before; nullopt: nothing was absorbed
  ValueId bias = kNoValue;                    ///< one value per column (products only)
  ValueId residual = kNoValue;                ///< of the result's shape
  float alpha = 1;                            ///< factor before bias and residual
  FusedActivation activation = {};

  bool complete() const { return activation.kind != FusedActivation::Kind::none; }
};

/// Absorbs the Add of a value that has the result's concrete shape and type.
bool absorb_residual(const GraphBuilder& graph, FusedTail& tail);
/// Absorbs an activation; nothing can be absorbed after it.
bool absorb_activation(const GraphBuilder& graph, FusedTail& tail);

}  // namespace sparse_run
