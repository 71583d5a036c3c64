// What of a graph network every rank computes for its own nodes, and what rank 0 computes before and after.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// What the rows of a value belong to while ranks share the work: nodes, edges of one of the sets, or nothing.
using RowSpace = int;
inline constexpr RowSpace kNodeRows = -1;
inline constexpr RowSpace kWhole = -2;  ///< the same on all ranks

/// Edges that are grouped by the same list of targets. A rank has those whose target is its own.
struct EdgeSet {
  ValueId targets = kNoValue;
  std::int64_t edges = 0;
};

/// Rows of nodes gathered, one per edge of a set, by a list of node numbers.
struct GatheredBy {
  ValueId numbers = kNoValue;
  std::size_t set = 0;
  auto operator<=>(const GatheredBy&) const = default;
};

/// Something that ranks compute for their own rows.
struct SharedNode {
  enum class Kind {
    by_row,     ///< reads rows of its own
    gather,     ///< rows of nodes along the edges of `space`
    aggregate,  ///< over the edges of `set`
  };
  NodeId node = 0;
  RowSpace space = kNodeRows;  ///< of its results
  Kind kind = Kind::by_row;
  std::size_t set = 0;     ///< of gather and aggregate
  std::vector<bool> rows;  ///< of by_row: the operands read by row
};

/// A value that rank 0 has and gives out, each rank its rows.
struct SharedLeaf {
  ValueId value = kNoValue;
  RowSpace space = kNodeRows;
  auto operator<=>(const SharedLeaf&) const = default;
};

/// Values of which ranks need rows of nodes that others own.
struct HaloExchange {
  ValueId value = kNoValue;
  std::size_t halo = 0;  ///< index of GraphSplit::halos: which rows
};

/// The division of a graph whose shapes are concrete. Ids are those of `graph`.
struct GraphSplit {
  std::shared_ptr<const Graph> graph;  // shared with the form, which runs parts of it
  std::int64_t nodes = 0;
  std::vector<EdgeSet> sets;
  std::vector<GatheredBy> gathers;              ///< each once
  std::vector<std::vector<std::size_t>> halos;  ///< each a set of indices of `gathers`, ascending
  std::vector<HaloExchange> exchanges;          ///< in the order in which values are computed
  std::vector<SharedLeaf> leaves;
  std::vector<SharedNode> body;  ///< in the order of computation
  std::vector<ValueId> results;  ///< rows of nodes that rank 0 collects
  std::vector<NodeId> head;      ///< what rank 0 computes for leaves, targets and numbers
  std::vector<NodeId> tail;      ///< what rank 0 computes from results

  /// The exchange of a value; it has one.
  std::size_t exchange_of(ValueId value) const;
};

/// The rows that are shared are those of the sum over edges with the most work. Everything that such sums are computed
/// from or that is computed from them row by row belongs to the ranks. Error(unsupported) names the node and says what
/// is in the way when a sum over edges needs what no rank has by itself, or when there are no such sums.
GraphSplit split_graph(std::shared_ptr<const Graph> graph);

/// The share of a graph's predicted time that sums over edges take, 0 to 1.
double aggregate_share(const Graph& graph);

}  // namespace sparse_run
