// Counting lists of edges by the values that hold them.
#include "cpu/graph_kernels/grouped_bytes.hpp"

#include <cstdint>
#include <set>
#include <utility>

#include "graph/ops/aggregate.hpp"

namespace sparse_run::cpu {

std::size_t grouped_bytes(const Partition& partition) {
  const Graph& graph = *partition.graph;
  std::set<std::pair<ValueId, std::int64_t>> groups;
  std::set<std::pair<ValueId, ValueId>> ordered;  // by targets, numbers
  std::size_t numbers = 0;
  for (const NodeId id : partition.nodes) {
    const Node& node = graph.node(id);
    if (!node.is("SparseAggregate", kInternalDomain) && !node.is("AggregateChain", kInternalDomain)) continue;
    const Aggregate aggregate = Aggregate::of(node);
    const ValueId targets = node.inputs[0];
    if (!graph.value(targets).type.is_concrete()) continue;
    const auto edges = static_cast<std::size_t>(element_count(*graph.value(targets).type.shape));
    if (groups.insert({targets, aggregate.nodes()}).second)
      numbers += edges + static_cast<std::size_t>(aggregate.nodes()) + 1;
    for (const std::int64_t role : aggregate.roles) {
      if (role > 0 && ordered.insert({targets, node.inputs[static_cast<std::size_t>(role)]}).second) numbers += edges;
    }
  }
  return numbers * sizeof(std::uint32_t);
}

}  // namespace sparse_run::cpu
