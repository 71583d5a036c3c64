// Which rank owns which node of a graph.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sparse_run {

/// How nodes are given to ranks.
enum class NodeCut {
  best,    ///< few rows to exchange where the build has METIS and the graph is not too large for it, else ranges
  ranges,  ///< consecutive nodes, balanced by edges
};

/// Edges as (source, target) pairs in two lists of equal length.
struct EdgeList {
  std::span<const std::uint32_t> sources, targets;
};

/// The owner of each of `nodes` nodes, 0 to parts - 1: consecutive ranges. Part p ends where nodes and the edges into
/// them, one each, first reach (p + 1) / parts of all.
std::vector<std::uint32_t> cut_into_ranges(std::int64_t nodes, const EdgeList& edges, int parts);

/// The same with METIS (Karypis and Kumar 1998): parts of about equal nodes and edges with little to exchange between
/// them. Deterministic. Error(limit) where 32-bit numbers do not count the edges, Error(internal) when METIS fails or
/// the build has none.
std::vector<std::uint32_t> cut_with_metis(std::int64_t nodes, const EdgeList& edges, int parts);

/// Whether the build has METIS.
bool has_metis() noexcept;

/// By `cut`; the name of what was used comes with the owners.
std::pair<std::vector<std::uint32_t>, std::string> cut_nodes(NodeCut cut, std::int64_t nodes, const EdgeList& edges,
                                                             int parts);

}  // namespace sparse_run
