// A plan: which partition of a model runs where, and why. Data only: made by a policy, executed by the runtime.
#pragma once

#include <string>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// Nodes that one device runs together. Indices are into the resolved graph the plan was made for.
struct PlannedPartition {
  std::string device = {};                ///< "cpu", "gpu:0", "emulated:1"
  int rank = 0;                           ///< the process that runs it
  std::vector<NodeId> nodes = {};         ///< topological order
  std::string reason = {};                ///< why there
  std::vector<std::string> kernels = {};  ///< parallel to nodes, "" where the device chooses; empty: it always does
  std::vector<NodeId> pinned = {};        ///< nodes of this partition that a person bound to it
  int stage = 0;                          ///< of a pipeline over requests: edges never lead to an earlier stage
  double predicted_s = 0;                 ///< one request's time on the device without copies; 0: not predicted
  double confidence = 0;                  ///< of the prediction: 0 unknown, 1 measured
  std::size_t weight_bytes = 0;           ///< constants it holds in their packed format, as predicted
};

/// A value that leaves the partition that computes it, or enters from outside (from = -1).
struct PlannedEdge {
  ValueId value = kNoValue;
  int from = 0;  ///< partition index
  int to = 0;
  std::size_t bytes = 0;   ///< 0 when the shape depends on data
  double predicted_s = 0;  ///< time of the copy; 0 within one memory, or not predicted
};

/// What a plan takes of one device's memory, as predicted.
struct PlannedMemory {
  std::string device = {};
  int rank = 0;
  std::size_t weight_bytes = 0;
  std::size_t activation_bytes = 0;  ///< per request in flight
  std::size_t limit_bytes = 0;       ///< 0: not known
};

/// A plan that was run to choose between it and others.
struct TriedPlan {
  std::string what = {};   ///< "all on cpu", "3 partitions on cpu, gpu:0"
  double predicted_s = 0;  ///< latency of one request
  double measured_s = 0;   ///< its median
};

struct Plan {
  static constexpr int kSchemaVersion = 1;
  std::string policy;
  std::string model_hash;
  std::vector<PlannedPartition> partitions;  ///< topological order
  std::vector<PlannedEdge> edges;
  std::string objective = "latency";  ///< what the policy was asked for: latency, throughput, memory
  std::string topology_hash;          ///< of the machine it was made for; "": not known
  std::string calibration_hash;       ///< of the measurements behind its predictions; "": none
  std::uint64_t seed = 0;             ///< of the policy
  double predicted_s = 0;             ///< latency of one request; 0: not predicted
  double bottleneck_s = 0;            ///< time per request in a long stream, the busiest device's or link's; 0 likewise
  double lower_bound_s = 0;           ///< no plan for these devices has a smaller latency; 0: not known
  std::vector<PlannedMemory> memory;
  std::vector<TriedPlan> tried;  ///< this plan first, then what it was measured against; empty: predictions decided
};

/// Derives the edges from partitions and graph. Predictions of edges that are there already are kept.
void connect_partitions(Plan& plan, const Graph& graph);

/// Checks that every node is placed exactly once, that no partition reads from a later one or an earlier stage's
/// partition from a later stage, that the edges are those of the graph, and that numbers are finite and lists
/// parallel. Error(usage) says what is wrong.
void validate_plan(const Plan& plan, const Graph& graph);

/// JSON with `schema_version`; nodes by name, so that a person can read and edit it.
std::string plan_to_json(const Plan& plan, const Graph& graph);

/// Reads what plan_to_json wrote, or a person: only `schema_version` and `partitions` with `device` and `nodes` have to
/// be there; edges are derived when they are absent. The result is validated. Error(usage) names the place; the text
/// is not trusted.
Plan plan_from_json(const std::string& text, const Graph& graph);

/// The same as a Graphviz digraph: one cluster per partition, edges labelled with types.
std::string plan_to_dot(const Plan& plan, const Graph& graph);

/// The policy of one device: the whole graph as one partition.
Plan single_device_plan(const Graph& graph, const std::string& device, const std::string& model_hash);

}  // namespace sparse_run
