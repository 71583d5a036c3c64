// Pattern matching over graphs under construction.
#include "graph/passes/match.hpp"

#include <algorithm>

namespace sparse_run {

const Tensor* constant_of(const GraphBuilder& graph, ValueId id) {
  return id == kNoValue ? nullptr : graph.value(id).tensor();
}

std::optional<double> scalar_of(const GraphBuilder& graph, ValueId id) { return scalar_of(constant_of(graph, id)); }

const Node* producer_of(const GraphBuilder& graph, ValueId id) {
  if (id == kNoValue) return nullptr;
  const auto node = graph.producer(id);
  return node ? &graph.node(*node) : nullptr;
}

const Node* producer_of(const GraphBuilder& graph, ValueId id, std::string_view op) {
  const Node* node = producer_of(graph, id);
  return node != nullptr && node->is(op) && node->outputs[0] == id ? node : nullptr;
}

bool read_once(const GraphBuilder& graph, ValueId id) {
  if (graph.is_output(id)) return false;
  const auto consumers = graph.consumers(id);
  if (consumers.size() != 1) return false;
  const Node& reader = graph.node(consumers[0]);
  return std::ranges::count(reader.inputs, id) + std::ranges::count(reader.captures, id) == 1;
}

const Node* sole_producer_of(const GraphBuilder& graph, ValueId id, std::string_view op) {
  const Node* node = producer_of(graph, id, op);
  return node != nullptr && read_once(graph, id) ? node : nullptr;
}

bool has_public_name(const GraphBuilder& graph, ValueId id) {
  return graph.is_output(id) || std::ranges::find(graph.inputs(), id) != graph.inputs().end() ||
         std::ranges::find(graph.captures(), id) != graph.captures().end();
}

std::vector<std::int64_t> permutation_of(const GraphBuilder& graph, const Node& node) {
  if (const auto* perm = node.find<std::vector<std::int64_t>>("perm")) return *perm;
  const auto rank = rank_of(graph, node.inputs[0]);
  std::vector<std::int64_t> reversed;
  for (std::size_t i = rank.value_or(0); i > 0; --i) reversed.push_back(static_cast<std::int64_t>(i) - 1);
  return reversed;
}

std::optional<ScaledOperand> scalar_operand(const GraphBuilder& graph, const Node& node) {
  if (node.inputs.size() != 2) return std::nullopt;
  const auto scaled = [&](ValueId value, ValueId constant) -> std::optional<ScaledOperand> {
    const auto scalar = scalar_of(graph, constant);
    if (!scalar) return std::nullopt;
    const std::size_t constant_rank = constant_of(graph, constant)->rank();
    if (constant_rank > rank_of(graph, value).value_or(0)) return std::nullopt;  // it would add dimensions
    return ScaledOperand{value, *scalar};
  };
  if (const auto second = scaled(node.inputs[0], node.inputs[1])) return second;
  if (!node.is("Add") && !node.is("Mul")) return std::nullopt;
  return scaled(node.inputs[1], node.inputs[0]);
}

std::optional<ValueId> other_operand(const Node& node, ValueId id) {
  if (node.inputs.size() != 2) return std::nullopt;
  if (node.inputs[0] == id) return node.inputs[1];
  if (node.inputs[1] == id) return node.inputs[0];
  return std::nullopt;
}

std::optional<std::vector<std::int64_t>> axes_of(const GraphBuilder& graph, const Node& node) {
  if (const auto* axes = node.find<std::vector<std::int64_t>>("axes")) return *axes;
  if (node.inputs.size() < 2 || node.inputs[1] == kNoValue) return std::vector<std::int64_t>{};
  const Tensor* axes = constant_of(graph, node.inputs[1]);
  if (axes == nullptr || (axes->dtype() != DType::i64 && axes->dtype() != DType::i32)) return std::nullopt;
  return axes->to_int64();
}

bool reduces_last_axis(const GraphBuilder& graph, const Node& node) {
  const auto axes = axes_of(graph, node);
  if (!axes || axes->size() != 1 || node.int_or("keepdims", 1) != 1) return false;
  const auto rank = rank_of(graph, node.inputs[0]);
  return (*axes)[0] == -1 || (rank && (*axes)[0] == static_cast<std::int64_t>(*rank) - 1);
}

std::optional<std::size_t> rank_of(const GraphBuilder& graph, ValueId id) {
  const Type& type = graph.value(id).type;
  return type.shape ? std::optional(type.shape->size()) : std::nullopt;
}

}  // namespace sparse_run
