// Cutting a graph into consecutive stages, one per rank, for a pipeline of many requests.
#pragma once

#include <string>
#include <vector>

#include "partitioner/plan.hpp"

namespace sparse_run {

/// What a cut is judged by.
struct StageCosts {
  std::vector<double> node_s;     ///< seconds of each node on one rank
  double link_bytes_per_s = 2e9;  ///< between two ranks
  double link_latency_s = 20e-6;
};

/// At most `stages` stages along the order of nodes such that the slowest of them, or of the transfers between them, is
/// as fast as cutting allows; fewer when more would not be faster. Stage i is partition i, on rank i. Cuts are made
/// only where everything that crosses is a tensor of known shape that can be sent as bytes.
/// Bisection over the slowest time, with the longest stage that fits taken greedily, which is exact for chains.
Plan plan_stages(const Graph& graph, int stages, const StageCosts& costs, const std::string& device,
                 const std::string& model_hash);

/// Whether values of this type can cross ranks as bytes of a size known beforehand.
bool can_cross_ranks(const Type& type);

/// A node's multiplications and additions on non-zero weights, and the bytes it reads and writes, turned into seconds
/// by rates that one core reaches: good enough to balance stages.
std::vector<double> estimate_node_seconds(const Graph& graph);

}  // namespace sparse_run
