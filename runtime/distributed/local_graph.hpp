// One rank's share of a graph network as a graph of its own, cut into stages between which rows are exchanged.
#pragma once

#include <memory>
#include <vector>

#include "runtime/distributed/graph_layout.hpp"
#include "runtime/distributed/graph_split.hpp"

namespace sparse_run {

/// Values that are absent on this rank (nothing reads them, or they have no rows) are kNoValue.
struct LocalGraph {
  std::shared_ptr<const Graph> graph;       // shared with the parts that run it
  std::vector<ValueId> leaves;              ///< parallel to GraphSplit::leaves: inputs
  std::vector<ValueId> exchanged;           ///< parallel to GraphSplit::exchanges: own rows of the value
  std::vector<ValueId> halos;               ///< parallel to GraphSplit::exchanges: an input, rows of others
  std::vector<ValueId> results;             ///< parallel to GraphSplit::results
  std::vector<std::vector<NodeId>> stages;  ///< in order; a stage before an exchange holds only what it sends
};

/// Sums over the edges of inner nodes are nodes of their own, which need nothing of other ranks; so they run while rows
/// for border nodes are on their way.
LocalGraph make_local_graph(const GraphSplit& split, const RankLayout& layout);

}  // namespace sparse_run
