// Fuses a convolution with the residual added to it and the activation after it.
#include "graph/passes/fuse.hpp"
#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

class FuseConvolution final : public Pass {
 public:
  std::string_view name() const noexcept override { return "fuse-convolution"; }
  std::string_view purpose() const noexcept override {
    return "computes residual sums and activations together with the convolution before them";
  }

  /// Last convolutions first: of two that meet in a sum, the later one takes it, when the other is already there.
  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    for (NodeId id = static_cast<NodeId>(graph.node_count()); id-- > 0;) {
      if (!graph.removed(id) && fuse(graph, id)) ++rewrites;
    }
    return rewrites;
  }

 private:
  static bool fuse(GraphBuilder& graph, NodeId id) {
    const Node& conv = std::as_const(graph).node(id);
    if (!conv.is("Conv") || type_of(graph, conv.outputs[0]).dtype != DType::f32) return false;
    FusedTail tail{.result = conv.outputs[0]};
    absorb_residual(graph, tail);
    absorb_activation(graph, tail);
    if (!tail.last) return false;
    Node fused = conv;
    fused.op = "FusedConv";
    fused.domain = kInternalDomain;
    fused.opset = 1;
    fused.inputs.resize(4, kNoValue);
    fused.inputs[3] = tail.residual;
    while (fused.inputs.back() == kNoValue) fused.inputs.pop_back();
    fused.outputs = {tail.result};
    tail.activation.store(fused);
    remove_between(graph, id, *tail.last);
    graph.node(*tail.last) = std::move(fused);
    return true;
  }

  /// The convolution and a sum before the last absorbed node have no other readers.
  static void remove_between(GraphBuilder& graph, NodeId first, NodeId last) {
    for (NodeId id = first; id != last;) {
      const NodeId next = graph.consumers(std::as_const(graph).node(id).outputs[0])[0];
      graph.remove_node(id);
      id = next;
    }
  }
};

}  // namespace

std::unique_ptr<Pass> make_fuse_convolution() { return std::make_unique<FuseConvolution>(); }

}  // namespace sparse_run
