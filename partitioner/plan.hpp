// A plan: which partition of a model runs where, and why. Data only: made by a policy, executed by the runtime.
#pragma once

#include <string>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// Nodes that one device runs together. Indices are into the resolved graph the plan was made for.
struct PlannedPartition {
  std::string device;  ///< "cpu"
  int rank = 0;
  std::vector<NodeId> nodes;  ///< topological order
  std::string reason;         ///< why there
};

/// A value that leaves the partition that computes it, or enters from outside (from = -1).
struct PlannedEdge {
  ValueId value = kNoValue;
  int from = 0;  ///< partition index
  int to = 0;
  std::size_t bytes = 0;  ///< 0 when the shape depends on data
};

struct Plan {
  static constexpr int kSchemaVersion = 1;
  std::string policy;
  std::string model_hash;
  std::vector<PlannedPartition> partitions;  ///< topological order
  std::vector<PlannedEdge> edges;
};

/// Derives the edges from partitions and graph.
void connect_partitions(Plan& plan, const Graph& graph);

/// Checks that every node is placed exactly once, that no partition reads from a later one, and that the edges are
/// those of the graph. Error(usage) says what is wrong.
void validate_plan(const Plan& plan, const Graph& graph);

/// JSON with `schema_version`; nodes by name, so that a person can read and edit it.
std::string plan_to_json(const Plan& plan, const Graph& graph);

/// The same as a Graphviz digraph: one cluster per partition, edges labelled with types.
std::string plan_to_dot(const Plan& plan, const Graph& graph);

/// The policy of one device: the whole graph as one partition.
Plan single_device_plan(const Graph& graph, const std::string& device, const std::string& model_hash);

}  // namespace sparse_run
