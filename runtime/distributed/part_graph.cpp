// Extracting parts.
#include "runtime/distributed/part_graph.hpp"

#include <algorithm>
#include <set>

namespace sparse_run {

Partition boundary_of(const std::shared_ptr<const Graph>& graph, const std::vector<NodeId>& nodes) {
  Partition part{graph, nodes, {}, {}};
  const std::set<NodeId> inside(nodes.begin(), nodes.end());
  std::set<ValueId> seen;
  for (const NodeId node_id : nodes) {
    const Node& node = graph->node(node_id);
    const auto read = [&](ValueId id) {
      if (id == kNoValue || graph->value(id).constant || !seen.insert(id).second) return;
      const auto producer = graph->producer(id);
      if (!producer || !inside.contains(*producer)) part.inputs.push_back(id);
    };
    for (const ValueId id : node.inputs) read(id);
    for (const ValueId id : node.captures) read(id);
    for (const ValueId id : node.outputs) {
      if (id == kNoValue) continue;
      const auto readers = graph->consumers(id);
      const bool read_outside =
          std::any_of(readers.begin(), readers.end(), [&](NodeId reader) { return !inside.contains(reader); });
      if (graph->is_output(id) || read_outside) part.outputs.push_back(id);
    }
  }
  return part;
}

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
