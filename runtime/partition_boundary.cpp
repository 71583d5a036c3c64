// Finding what crosses the border of a set of nodes.
#include "runtime/partition_boundary.hpp"

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

}  // namespace sparse_run
