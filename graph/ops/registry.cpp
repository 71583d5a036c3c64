// The table of operators.
#include <algorithm>

#include "graph/ops/schema.hpp"

namespace sparse_run {

void OpRegistry::add(OpSchema schema) {
  auto& versions = entries_[{schema.domain, schema.name}];
  const auto position = std::lower_bound(versions.begin(), versions.end(), schema.since,
                                         [](const OpSchema& entry, int since) { return entry.since < since; });
  require(position == versions.end() || position->since != schema.since, "operator registered twice");
  versions.insert(position, schema);
}

const OpSchema* OpRegistry::find(std::string_view domain, std::string_view op, int opset) const {
  const auto found = entries_.find({domain, op});
  if (found == entries_.end()) return nullptr;
  const OpSchema* best = nullptr;
  for (const OpSchema& entry : found->second) {
    if (entry.since <= opset) best = &entry;
  }
  return best;
}

std::vector<const OpSchema*> OpRegistry::all() const {
  std::vector<const OpSchema*> schemas;
  for (const auto& [key, versions] : entries_) {
    for (const OpSchema& entry : versions) schemas.push_back(&entry);
  }
  return schemas;
}

const OpRegistry& OpRegistry::standard() {
  static const OpRegistry registry = [] {
    OpRegistry built;
    register_elementwise_ops(built);
    register_reduction_ops(built);
    register_convolution_ops(built);
    register_matrix_ops(built);
    register_movement_ops(built);
    register_control_ops(built);
    register_internal_ops(built);
    return built;
  }();
  return registry;
}

}  // namespace sparse_run
