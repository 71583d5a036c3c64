// Removes movement of data that cancels out: reshapes of reshapes, transposes of transposes, and nodes that do nothing.
#include <algorithm>

#include "graph/passes/match.hpp"
#include "graph/passes/no_op.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

bool is_reshape(const Node& node) {
  return node.is("Reshape") || node.is("Flatten") || node.is("Squeeze") || node.is("Unsqueeze");
}

/// The operand of a Reshape that gives `shape`: numbers, and one -1 when one dimension is unknown.
std::optional<Shape> reshape_operand(const Type& type) {
  if (!type.shape) return std::nullopt;
  const auto unknown = std::ranges::count(*type.shape, kUnknownDim);
  if (unknown > 1) return std::nullopt;
  if (std::ranges::count(*type.shape, 0) != 0) return std::nullopt;  // 0 would mean "as the input has it"
  return *type.shape;
}

class SimplifyMovement final : public Pass {
 public:
  std::string_view name() const noexcept override { return "simplify-movement"; }
  std::string_view purpose() const noexcept override {
    return "merges chains of reshapes and of transposes and drops nodes that do nothing";
  }

  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    for (NodeId id = 0; id < graph.node_count(); ++id) {
      if (graph.removed(id)) continue;
      rewrites += merge_reshapes(graph, id) ? 1 : 0;
      rewrites += merge_transposes(graph, id) ? 1 : 0;
      rewrites += transpose_as_reshape(graph, id) ? 1 : 0;
      rewrites += drop(graph, id) ? 1 : 0;
    }
    return rewrites;
  }

 private:
  static void become_reshape(GraphBuilder& graph, NodeId id, ValueId source, Shape shape) {
    const ValueId operand = graph.add_constant(
        "", Tensor::of<std::int64_t>({static_cast<std::int64_t>(shape.size())}, std::span<const std::int64_t>(shape)));
    Node& node = graph.node(id);
    node.op = "Reshape";
    node.opset = 13;
    node.attributes.clear();
    node.inputs = {source, operand};
  }

  static bool merge_reshapes(GraphBuilder& graph, NodeId id) {
    const Node& outer = std::as_const(graph).node(id);
    if (!is_reshape(outer)) return false;
    const Node* inner = producer_of(graph, outer.inputs[0]);
    if (inner == nullptr || !is_reshape(*inner)) return false;
    auto shape = reshape_operand(type_of(graph, outer.outputs[0]));
    if (!shape) return false;
    become_reshape(graph, id, inner->inputs[0], std::move(*shape));
    return true;
  }

  static bool merge_transposes(GraphBuilder& graph, NodeId id) {
    const Node& outer = std::as_const(graph).node(id);
    if (!outer.is("Transpose")) return false;
    const Node* inner = producer_of(graph, outer.inputs[0], "Transpose");
    if (inner == nullptr) return false;
    const auto first = permutation_of(graph, *inner);
    const auto second = permutation_of(graph, outer);
    if (first.empty() || first.size() != second.size()) return false;
    std::vector<std::int64_t> combined;
    for (const std::int64_t axis : second) combined.push_back(first[static_cast<std::size_t>(axis)]);
    const ValueId source = inner->inputs[0];
    Node& node = graph.node(id);
    node.inputs[0] = source;
    node.attributes["perm"] = std::move(combined);
    return true;
  }

  /// A transpose that moves only dimensions of size 1 leaves the elements in order.
  static bool transpose_as_reshape(GraphBuilder& graph, NodeId id) {
    const Node& node = std::as_const(graph).node(id);
    if (!node.is("Transpose")) return false;
    const Type& input = type_of(graph, node.inputs[0]);
    if (!input.is_concrete() || !type_of(graph, node.outputs[0]).is_concrete()) return false;
    const auto perm = permutation_of(graph, node);
    std::vector<std::int64_t> kept;
    for (const std::int64_t axis : perm) {
      if ((*input.shape)[static_cast<std::size_t>(axis)] != 1) kept.push_back(axis);
    }
    if (!std::ranges::is_sorted(kept) || std::ranges::is_sorted(perm)) return false;
    auto shape = reshape_operand(type_of(graph, node.outputs[0]));
    if (!shape) return false;
    become_reshape(graph, id, node.inputs[0], std::move(*shape));
    merge_reshapes(graph, id);
    return true;
  }

  static bool drop(GraphBuilder& graph, NodeId id) {
    const Node& node = std::as_const(graph).node(id);
    if (node.outputs.empty() || node.outputs[0] == kNoValue) return false;
    std::vector<Type> inputs;
    std::vector<Type> outputs;
    std::vector<const Tensor*> constants;
    for (const ValueId value : node.inputs) {
      inputs.push_back(value == kNoValue ? Type{} : type_of(graph, value));
      constants.push_back(constant_of(graph, value));
    }
    for (const ValueId value : node.outputs) outputs.push_back(value == kNoValue ? Type{} : type_of(graph, value));
    const auto operand = passed_through(node, inputs, constants, outputs);
    if (!operand) return false;
    const ValueId source = node.inputs[*operand];
    const ValueId result = node.outputs[0];
    if (node.is("Identity") && graph.is_output(result) && has_public_name(graph, source)) return false;
    graph.replace_uses(result, source);
    graph.remove_node(id);
    return true;
  }
};

}  // namespace

std::unique_ptr<Pass> make_simplify_movement() { return std::make_unique<SimplifyMovement>(); }

}  // namespace sparse_run
