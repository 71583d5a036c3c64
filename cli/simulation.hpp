// --simulate: what a cluster that is described in a file would do with this model.
#pragma once

#include <string>

#include "cli/options.hpp"
#include "graph/ir/graph.hpp"
#include "partitioner/planner.hpp"

namespace sparse_run::cli {

/// The table for people. Writes the Gantt chart of the best way to --trace, and its plan to --plan-out. `planner` has
/// what the other options came to.
std::string simulate_cluster(const Options& options, const PlacementPlanner& planner, const Graph& graph);

}  // namespace sparse_run::cli
