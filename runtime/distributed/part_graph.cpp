// Extracting parts.
#include "runtime/distributed/part_graph.hpp"

#include <algorithm>
#include <set>

namespace sparse_run {

std::shared_ptr<const Graph> graph_of(const Partition& partition, const std::string& name) {
  const Graph& graph = *partition.graph;
  GraphBuilder builder(name);
  std::vector<ValueId> ids(graph.values().size(), kNoValue);
  for (const ValueId id : partition.inputs) ids[id] = builder.add_input(graph.value(id).name, graph.value(id).type);
  const auto map = [&](ValueId id) {
    if (id == kNoValue) return kNoValue;
    if (ids[id] == kNoValue) {
      const ValueDef& def = graph.value(id);
      ids[id] = def.constant ? builder.add_constant(def.name, *def.constant) : builder.add_value(def.name, def.type);
    }
    return ids[id];
  };
  for (const NodeId node_id : partition.nodes) {
    Node copy = graph.node(node_id);
    for (ValueId& id : copy.inputs) id = map(id);
    for (ValueId& id : copy.outputs) id = map(id);
    for (ValueId& id : copy.captures) id = map(id);
    builder.add_node(std::move(copy));
  }
  for (const ValueId id : partition.outputs) builder.add_output(map(id));
  return std::make_shared<const Graph>(std::move(builder).build());
}

}  // namespace sparse_run
