// Refusing nodes whose values have no fixed size.
#include "gpu/fixed_memory.hpp"

namespace sparse_run::gpu {

namespace {

/// Why a value cannot live in memory of fixed addresses; empty when it can.
std::string refusal_of(const ValueDef& value) {
  if (value.type.kind != ValueKind::tensor) return "'" + value.name + "' is not a tensor";
  if (!value.type.is_concrete()) return "the size of '" + value.name + "' depends on data";
  if (value.type.dtype == DType::string) return "'" + value.name + "' holds strings";
  if (element_size(value.type.dtype) == 0) {
    return "'" + value.name + "' has elements of type " + std::string(to_string(value.type.dtype));
  }
  return {};
}

}  // namespace

std::string refuse_unfixed(const Graph& graph, const Node& node) {
  for (const auto& [name, attribute] : node.attributes) {
    if (std::holds_alternative<GraphPtr>(attribute)) return "its body '" + name + "' runs on the host";
  }
  for (const auto& ids : {node.inputs, node.outputs}) {
    for (const ValueId id : ids) {
      if (id == kNoValue || graph.value(id).constant) continue;
      if (std::string reason = refusal_of(graph.value(id)); !reason.empty()) return reason;
    }
  }
  return {};
}

}  // namespace sparse_run::gpu
