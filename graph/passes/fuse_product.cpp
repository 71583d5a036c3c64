// Fuses a matrix product with transposes before it and with factor, bias, residual and activation after it.
#include <algorithm>

#include "graph/passes/fuse.hpp"
#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

bool is_column_bias(const Type& type, std::int64_t columns) {
  return type.is_concrete() && !type.shape->empty() && type.shape->back() == columns &&
         element_count(*type.shape) == columns;
}

/// Absorbs multiplication or division by a constant number.
bool absorb_factor(const GraphBuilder& graph, FusedTail& tail) {
  if (tail.bias != kNoValue || tail.residual != kNoValue || tail.complete()) return false;
  const auto reader = sole_reader(graph, tail.result);
  if (!reader) return false;
  const Node& node = graph.node(*reader);
  if (!node.is("Mul") && !node.is("Div")) return false;
  const auto scaled = scalar_operand(graph, node);
  if (!scaled || scaled->value != tail.result) return false;
  tail.alpha *= static_cast<float>(node.is("Mul") ? scaled->scalar : 1 / scaled->scalar);
  tail.result = node.outputs[0];
  tail.last = reader;
  return true;
}

/// Absorbs the Add of one value per column.
bool absorb_bias(const GraphBuilder& graph, FusedTail& tail) {
  if (tail.bias != kNoValue || tail.complete()) return false;
  const auto reader = sole_reader(graph, tail.result);
  if (!reader || !graph.node(*reader).is("Add")) return false;
  const auto other = other_operand(graph.node(*reader), tail.result);
  const Type& type = type_of(graph, tail.result);
  if (!other || !is_column_bias(type_of(graph, *other), type.shape->back())) return false;
  if (type_of(graph, *other).shape->size() > type.shape->size()) return false;
  if (type.shape == type_of(graph, *other).shape && !graph.value(*other).constant)
    return false;  // a residual of one row
  tail.bias = *other;
  tail.result = graph.node(*reader).outputs[0];
  tail.last = reader;
  return true;
}

/// The operand of a Transpose that swaps the last two dimensions and nothing else.
std::optional<ValueId> swapped_source(const GraphBuilder& graph, ValueId id) {
  const Node* node = producer_of(graph, id, "Transpose");
  if (node == nullptr) return std::nullopt;
  auto perm = permutation_of(graph, *node);
  if (perm.size() < 2) return std::nullopt;
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  if (!std::ranges::is_sorted(perm)) return std::nullopt;
  return node->inputs[0];
}

class FuseProduct final : public Pass {
 public:
  std::string_view name() const noexcept override { return "fuse-product"; }
  std::string_view purpose() const noexcept override {
    return "computes factors, biases, residual sums and activations together with the matrix product before them";
  }

  /// Last products first, as fuse-convolution does.
  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    for (NodeId id = static_cast<NodeId>(graph.node_count()); id-- > 0;) {
      if (!graph.removed(id) && fuse(graph, id)) ++rewrites;
    }
    return rewrites;
  }

 private:
  static bool fuse(GraphBuilder& graph, NodeId id) {
    const Node& product = std::as_const(graph).node(id);
    if (!product.is("MatMul") && !product.is("Gemm")) return false;
    const Type& type = type_of(graph, product.outputs[0]);
    const auto rank_a = rank_of(graph, product.inputs[0]);
    const auto rank_b = rank_of(graph, product.inputs[1]);
    if (type.dtype != DType::f32 || !type.is_concrete() || !rank_a || !rank_b || *rank_a < 2 || *rank_b < 2) {
      return false;
    }
    FusedTail tail{.result = product.outputs[0]};
    Node fused;
    if (!start(graph, product, fused, tail)) return false;
    while (absorb_factor(graph, tail)) {
    }
    while (absorb_bias(graph, tail) || absorb_residual(graph, tail)) {
    }
    absorb_activation(graph, tail);
    const bool transposes = product.is("MatMul") && (fused.has("transA") || fused.has("transB"));
    if (!tail.last && !transposes) return false;
    if (tail.alpha != 1) fused.attributes["alpha"] = tail.alpha;
    fused.inputs.push_back(tail.bias);
    fused.inputs.push_back(tail.residual);
    while (fused.inputs.back() == kNoValue) fused.inputs.pop_back();
    fused.outputs = {tail.result};
    tail.activation.store(fused);
    const NodeId last = tail.last.value_or(id);
    for (NodeId step = id; step != last;) {
      const NodeId next = graph.consumers(std::as_const(graph).node(step).outputs[0])[0];
      graph.remove_node(step);
      step = next;
    }
    graph.node(last) = std::move(fused);
    return true;
  }

  /// The fused node with A, B, their transposes, and what a Gemm adds already.
  static bool start(const GraphBuilder& graph, const Node& product, Node& fused, FusedTail& tail) {
    fused.name = product.name;
    fused.op = "FusedMatMul";
    fused.domain = kInternalDomain;
    bool swapped[2] = {product.int_or("transA", 0) != 0, product.int_or("transB", 0) != 0};
    const bool gemm = product.is("Gemm");
    for (std::size_t i = 0; i < 2; ++i) {
      ValueId operand = product.inputs[i];
      if (const auto source = swapped_source(graph, operand)) {
        operand = *source;
        swapped[i] = !swapped[i];
      }
      fused.inputs.push_back(operand);
    }
    if (swapped[0]) fused.attributes["transA"] = std::int64_t{1};
    if (swapped[1]) fused.attributes["transB"] = std::int64_t{1};
    if (!gemm) return true;
    tail.alpha = product.float_or("alpha", 1);
    if (product.inputs.size() < 3 || product.inputs[2] == kNoValue) return true;
    if (product.float_or("beta", 1) != 1) return false;
    const Type& added = type_of(graph, product.inputs[2]);
    const Type& result = type_of(graph, product.outputs[0]);
    if (is_column_bias(added, result.shape->back())) {
      tail.bias = product.inputs[2];
    } else if (added.is_concrete() && added.shape == result.shape) {
      tail.residual = product.inputs[2];
    } else {
      return false;
    }
    return true;
  }
};

}  // namespace

std::unique_ptr<Pass> make_fuse_product() { return std::make_unique<FuseProduct>(); }

}  // namespace sparse_run
