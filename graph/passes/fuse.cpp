// Following results to what can be computed together with them.
#include "graph/passes/fuse.hpp"

#include <limits>

#include "graph/passes/match.hpp"

namespace sparse_run {

namespace {

using Kind = FusedActivation::Kind;

std::optional<FusedActivation> clip_of(const GraphBuilder& graph, const Node& node) {
  FusedActivation clip{Kind::clip, -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()};
  if (node.opset < 11) {
    clip.a = node.float_or("min", clip.a);
    clip.b = node.float_or("max", clip.b);
    return clip;
  }
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    if (node.inputs.size() <= i || node.inputs[i] == kNoValue) continue;
    const auto bound = scalar_of(graph, node.inputs[i]);
    if (!bound) return std::nullopt;
    (i == 1 ? clip.a : clip.b) = static_cast<float>(*bound);
  }
  return clip.a <= clip.b ? std::optional(clip) : std::nullopt;  // what min > max gives is left to Clip itself
}

}  // namespace

std::optional<NodeId> sole_reader(const GraphBuilder& graph, ValueId id) {
  return read_once(graph, id) ? std::optional(graph.consumers(id)[0]) : std::nullopt;
}

std::optional<FusedActivation> activation_of(const GraphBuilder& graph, const Node& node) {
  if (!node.domain.empty() || node.inputs.empty() || node.outputs.empty()) return std::nullopt;
  const auto plain = [](Kind kind) { return std::optional(FusedActivation{kind, 0, 0}); };
  if (node.op == "Relu") return plain(Kind::relu);
  if (node.op == "Sigmoid") return plain(Kind::sigmoid);
  if (node.op == "Tanh") return plain(Kind::tanh);
  if (node.op == "HardSwish") return plain(Kind::hard_swish);
  if (node.op == "Swish" && node.float_or("alpha", 1) == 1) return plain(Kind::silu);
  if (node.op == "Gelu" && node.string_or("approximate", "none") == "none") return plain(Kind::gelu);
  if (node.op == "LeakyRelu") return FusedActivation{Kind::leaky_relu, node.float_or("alpha", 0.01f), 0};
  if (node.op == "Clip") return clip_of(graph, node);
  return std::nullopt;
}

bool absorb_residual(const GraphBuilder& graph, FusedTail& tail) {
  if (tail.residual != kNoValue || tail.complete()) return false;
  const auto reader = sole_reader(graph, tail.result);
  if (!reader || !graph.node(*reader).is("Add")) return false;
  const auto other = other_operand(graph.node(*reader), tail.result);
  const ValueId sum = graph.node(*reader).outputs[0];
  if (!other) return false;
  const Type& type = type_of(graph, tail.result);
  const Type& residual = type_of(graph, *other);
  if (!type.is_concrete() || !residual.is_concrete() || type.shape != residual.shape || type.dtype != residual.dtype) {
    return false;
  }
  if (graph.value(*other).constant) return false;  // a constant of full size is data like any other: leave it
  tail.residual = *other;
  tail.result = sum;
  tail.last = reader;
  return true;
}

bool absorb_activation(const GraphBuilder& graph, FusedTail& tail) {
  if (tail.complete()) return false;
  const auto reader = sole_reader(graph, tail.result);
  if (!reader || graph.node(*reader).inputs[0] != tail.result) return false;
  const auto activation = activation_of(graph, graph.node(*reader));
  if (!activation) return false;
  tail.activation = *activation;
  tail.result = graph.node(*reader).outputs[0];
  tail.last = reader;
  return true;
}

}  // namespace sparse_run
