// A plan as one self-contained page to look at.
#pragma once

#include <string>
#include <vector>

#include "partitioner/plan.hpp"

namespace sparse_run {

/// What is known of a node besides its place. Negative numbers: not known.
struct NodeFacts {
  std::string kernel = {};
  double zeros = 0;  ///< share
  double predicted_ms = -1;
  double measured_ms = -1;
};

struct PlanFindings {
  std::vector<NodeFacts> nodes = {};               ///< by node id; empty: nothing is known
  std::vector<double> partition_measured_ms = {};  ///< parallel to partitions; empty: nothing was measured
};

/// HTML without references to anything outside: partitions with times and reasons, the graph in layers of nodes
/// coloured by device, a search field, and details of each node and edge. Names from the model are data to it, never
/// markup.
std::string plan_to_html(const Plan& plan, const Graph& graph, const PlanFindings& findings = {});

}  // namespace sparse_run
