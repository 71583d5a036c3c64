// Folds zero padding of spatial dimensions into the convolution that follows.
#include <algorithm>

#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

/// Begin of each axis, then end of each axis, over all axes of an input of `rank`.
std::optional<std::vector<std::int64_t>> pads_of(const GraphBuilder& graph, const Node& pad, std::size_t rank) {
  if (pad.opset < 11) return pad.ints_or("pads");
  if (pad.inputs.size() < 2) return std::nullopt;
  const Tensor* operand = constant_of(graph, pad.inputs[1]);
  if (operand == nullptr || operand->dtype() != DType::i64) return std::nullopt;
  const auto given = operand->to_int64();
  if (pad.inputs.size() < 4 || pad.inputs[3] == kNoValue) return given;
  const Tensor* axes_operand = constant_of(graph, pad.inputs[3]);
  if (axes_operand == nullptr) return std::nullopt;
  const auto axes = axes_operand->to_int64();
  if (given.size() != 2 * axes.size()) return std::nullopt;
  std::vector<std::int64_t> pads(2 * rank, 0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(normalize_axis(axes[i], rank));
    pads[axis] = given[i];
    pads[rank + axis] = given[axes.size() + i];
  }
  return pads;
}

bool pads_with_zero(const GraphBuilder& graph, const Node& pad) {
  if (pad.string_or("mode", "constant") != "constant") return false;
  if (pad.opset < 11) return pad.float_or("value", 0) == 0;
  return pad.inputs.size() < 3 || pad.inputs[2] == kNoValue || scalar_of(graph, pad.inputs[2]) == 0.0;
}

class FoldPad final : public Pass {
 public:
  std::string_view name() const noexcept override { return "fold-pad"; }
  std::string_view purpose() const noexcept override { return "folds zero padding into the convolution after it"; }

  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    for (NodeId id = 0; id < graph.node_count(); ++id) {
      if (!graph.removed(id) && fold(graph, id)) ++rewrites;
    }
    return rewrites;
  }

 private:
  static bool fold(GraphBuilder& graph, NodeId id) {
    const Node& conv = std::as_const(graph).node(id);
    if (!conv.is("Conv")) return false;
    const Node* pad = producer_of(graph, conv.inputs[0], "Pad");
    const auto rank = rank_of(graph, conv.inputs[0]);
    if (pad == nullptr || !rank || *rank < 3 || !pads_with_zero(graph, *pad)) return false;
    const std::string automatic = conv.string_or("auto_pad", "NOTSET");
    if (automatic != "NOTSET" && automatic != "VALID") return false;
    const auto added = pads_of(graph, *pad, *rank);
    if (!added || added->size() != 2 * *rank || std::ranges::any_of(*added, [](std::int64_t p) { return p < 0; })) {
      return false;
    }
    const auto at = [&](std::size_t axis, bool end) { return (*added)[axis + (end ? *rank : 0)]; };
    if (at(0, false) != 0 || at(0, true) != 0 || at(1, false) != 0 || at(1, true) != 0) return false;
    const std::size_t spatial = *rank - 2;
    std::vector<std::int64_t> pads = automatic == "VALID" ? std::vector<std::int64_t>{} : conv.ints_or("pads");
    pads.resize(2 * spatial, 0);
    for (std::size_t d = 0; d < spatial; ++d) {
      for (const bool end : {false, true}) {
        std::int64_t& own = pads[d + (end ? spatial : 0)];
        if (__builtin_add_overflow(own, at(d + 2, end), &own)) return false;
      }
    }
    const ValueId source = pad->inputs[0];
    Node& edited = graph.node(id);
    edited.inputs[0] = source;
    edited.attributes.erase("auto_pad");
    edited.attributes["pads"] = std::move(pads);
    return true;
  }
};

}  // namespace

std::unique_ptr<Pass> make_fold_pad() { return std::make_unique<FoldPad>(); }

}  // namespace sparse_run
