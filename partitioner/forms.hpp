// How a model may be spread over the hosts of a cluster, and what each way comes to in simulation.
#pragma once

#include <string>
#include <vector>

#include "partitioner/planner.hpp"
#include "partitioner/simulator.hpp"

namespace sparse_run {

/// One way: a plan over `ranks` hosts, repeated `replicas` times.
struct ClusterForm {
  std::string name;  ///< "data", "pipeline of 2", "4 pipelines of 2"
  int ranks = 1;
  int replicas = 1;
  Plan plan;
  Simulation simulation;
};

/// Plans and simulates every way that hosts allow: each host alone with its own requests, and pipelines over 2 and 4
/// neighbours. Requests come from rank 0. The plans are made by the policy of `options`, whose topology is the cluster;
/// pipelines for throughput. What does not fit a host's memory is left out. Ordered by throughput, best first. Error as
/// PlacementPlanner::plan, when nothing fits too.
std::vector<ClusterForm> simulate_forms(const PlannerOptions& options, const Graph& graph,
                                        const SimulationOptions& simulation);

}  // namespace sparse_run
