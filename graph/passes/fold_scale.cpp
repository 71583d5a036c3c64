// Folds constant factors and summands, one per channel or one for all, into the weights and bias before them.
#include "graph/passes/channel_affine.hpp"
#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

/// The values of a constant that, broadcast to rank `rank`, varies along `axis` at most.
std::optional<std::vector<double>> per_channel(const Tensor* constant, std::size_t rank, std::size_t axis) {
  if (constant == nullptr || constant->rank() > rank || constant->size() == 0) return std::nullopt;
  const std::size_t missing = rank - constant->rank();
  for (std::size_t d = 0; d < constant->rank(); ++d) {
    if (constant->shape()[d] != 1 && d + missing != axis) return std::nullopt;
  }
  return float_values(constant);
}

class FoldScale final : public Pass {
 public:
  std::string_view name() const noexcept override { return "fold-scale"; }
  std::string_view purpose() const noexcept override {
    return "folds constant factors and summands into the convolution or product before them";
  }

  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    for (NodeId id = 0; id < graph.node_count(); ++id) {
      if (!graph.removed(id) && fold(graph, id)) ++rewrites;
    }
    return rewrites;
  }

 private:
  static bool fold(GraphBuilder& graph, NodeId id) {
    const Node& node = std::as_const(graph).node(id);
    const bool commutes = node.is("Mul") || node.is("Add");
    if (!commutes && !node.is("Div") && !node.is("Sub")) return false;
    for (const std::size_t operand : {std::size_t{0}, std::size_t{1}}) {
      if (operand == 1 && !commutes) break;
      const ValueId inner = node.inputs[operand];
      const auto axis = channel_axis(graph, inner);
      const auto rank = rank_of(graph, inner);
      if (!axis || !rank) continue;
      const auto values = per_channel(constant_of(graph, node.inputs[1 - operand]), *rank, *axis);
      if (!values) continue;
      ChannelAffine affine;
      if (node.is("Mul")) affine.scale = *values;
      if (node.is("Add")) affine.shift = *values;
      if (node.is("Div")) {
        affine.scale = *values;
        for (double& value : affine.scale) value = 1 / value;
      }
      if (node.is("Sub")) {
        affine.shift = *values;
        for (double& value : affine.shift) value = -value;
      }
      if (!fold_into_producer(graph, inner, node.outputs[0], affine)) continue;
      graph.remove_node(id);
      return true;
    }
    return false;
  }
};

}  // namespace

std::unique_ptr<Pass> make_fold_scale() { return std::make_unique<FoldScale>(); }

}  // namespace sparse_run
