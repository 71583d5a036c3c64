// Deriving the edges of a plan, checking it against its graph, and the policy of one device.
#include "partitioner/plan.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "base/error.hpp"

namespace sparse_run {

namespace {

constexpr int kOutside = -1;
constexpr int kUnplaced = -2;

/// The partition of every node; kUnplaced where the plan has none. Error(usage) for a node placed twice or unknown.
std::vector<int> partition_of_nodes(const Plan& plan, const Graph& graph) {
  std::vector<int> partition_of(graph.nodes().size(), kUnplaced);
  for (std::size_t p = 0; p < plan.partitions.size(); ++p) {
    for (const NodeId id : plan.partitions[p].nodes) {
      if (id >= partition_of.size()) {
        throw_error(ErrorKind::usage, "plan: partition {} names node {}, but the graph has {} nodes", p, id,
                    partition_of.size());
      }
      if (partition_of[id] != kUnplaced) {
        throw_error(ErrorKind::usage, "plan: {} is placed in partition {} and again in partition {}; place it once",
                    graph.node(id).describe(), partition_of[id], p);
      }
      partition_of[id] = static_cast<int>(p);
    }
  }
  return partition_of;
}

/// Calls visit(value) for every value a node reads, those its bodies capture included; constants are left out.
template <class Visit>
void for_each_read(const Graph& graph, const Node& node, Visit&& visit) {
  for (const auto& list : {&node.inputs, &node.captures}) {
    for (const ValueId value : *list) {
      if (value != kNoValue && !graph.value(value).constant) visit(value);
    }
  }
}

std::size_t bytes_of(const Type& type) {
  if (!type.is_concrete()) return 0;
  return static_cast<std::size_t>(element_count(*type.shape)) * element_size(type.dtype);
}

std::vector<PlannedEdge> derive_edges(const Plan& plan, const Graph& graph) {
  const std::vector<int> partition_of = partition_of_nodes(plan, graph);
  std::vector<PlannedEdge> edges;
  for (std::size_t p = 0; p < plan.partitions.size(); ++p) {
    std::set<ValueId> seen;
    for (const NodeId id : plan.partitions[p].nodes) {
      for_each_read(graph, graph.node(id), [&](ValueId value) {
        const auto producer = graph.producer(value);
        const int from = producer ? partition_of[*producer] : kOutside;
        if (from == static_cast<int>(p) || !seen.insert(value).second) return;
        edges.push_back({value, from, static_cast<int>(p), bytes_of(graph.value(value).type), 0});
      });
    }
  }
  return edges;
}

auto key(const PlannedEdge& edge) { return std::tuple(edge.to, edge.from, edge.value, edge.bytes); }

bool is_duration(double seconds) { return std::isfinite(seconds) && seconds >= 0; }

/// Checks what one partition says of itself, its nodes being known to the graph.
void check_partition(const PlannedPartition& partition, std::size_t p, const Graph& graph) {
  if (partition.device.empty()) throw_error(ErrorKind::usage, "plan: partition {} names no device", p);
  if (partition.rank < 0) throw_error(ErrorKind::usage, "plan: partition {} has a negative rank", p);
  if (partition.stage < 0) throw_error(ErrorKind::usage, "plan: partition {} has a negative stage", p);
  if (partition.nodes.empty()) throw_error(ErrorKind::usage, "plan: partition {} holds no node; leave it out", p);
  if (!partition.kernels.empty() && partition.kernels.size() != partition.nodes.size()) {
    throw_error(ErrorKind::usage, "plan: partition {} has {} nodes but {} kernels; give one per node, or none", p,
                partition.nodes.size(), partition.kernels.size());
  }
  const std::set<NodeId> inside(partition.nodes.begin(), partition.nodes.end());
  for (const NodeId id : partition.pinned) {
    if (!inside.contains(id)) {
      throw_error(ErrorKind::usage, "plan: partition {} pins {}, which is not in it", p,
                  id < graph.nodes().size() ? graph.node(id).describe() : fmt::format("node {}", id));
    }
  }
  if (!is_duration(partition.predicted_s) || !(partition.confidence >= 0 && partition.confidence <= 1)) {
    throw_error(ErrorKind::usage, "plan: partition {} has a predicted time or confidence that is none", p);
  }
}

std::vector<PlannedEdge> sorted(std::vector<PlannedEdge> edges) {
  std::sort(edges.begin(), edges.end(), [](const auto& a, const auto& b) { return key(a) < key(b); });
  return edges;
}

}  // namespace

void connect_partitions(Plan& plan, const Graph& graph) {
  std::map<std::tuple<ValueId, int, int>, double> predicted;
  for (const PlannedEdge& edge : plan.edges) predicted[{edge.value, edge.from, edge.to}] = edge.predicted_s;
  plan.edges = derive_edges(plan, graph);
  for (PlannedEdge& edge : plan.edges) {
    const auto known = predicted.find({edge.value, edge.from, edge.to});
    if (known != predicted.end()) edge.predicted_s = known->second;
  }
}

void validate_plan(const Plan& plan, const Graph& graph) {
  const std::vector<int> partition_of = partition_of_nodes(plan, graph);
  for (NodeId id = 0; id < partition_of.size(); ++id) {
    if (partition_of[id] == kUnplaced) {
      throw_error(ErrorKind::usage, "plan: {} is in no partition; every node has to be placed",
                  graph.node(id).describe());
    }
  }
  std::vector<bool> done(partition_of.size(), false);
  for (std::size_t p = 0; p < plan.partitions.size(); ++p) {
    check_partition(plan.partitions[p], p, graph);
    for (const NodeId id : plan.partitions[p].nodes) {
      for_each_read(graph, graph.node(id), [&](ValueId value) {
        const auto producer = graph.producer(value);
        if (!producer) return;
        if (done[*producer]) {
          const int from = partition_of[*producer];
          if (plan.partitions[static_cast<std::size_t>(from)].stage <= plan.partitions[p].stage) return;
          throw_error(ErrorKind::usage,
                      "plan: partition {} of stage {} reads '{}' from partition {} of the later stage {}", p,
                      plan.partitions[p].stage, graph.value(value).name, from,
                      plan.partitions[static_cast<std::size_t>(from)].stage);
        }
        throw_error(ErrorKind::usage, "plan: {} in partition {} reads '{}' before {} (partition {}) has computed it",
                    graph.node(id).describe(), p, graph.value(value).name, graph.node(*producer).describe(),
                    partition_of[*producer]);
      });
      done[id] = true;
    }
  }
  const auto expected = sorted(derive_edges(plan, graph));
  const auto given = sorted(plan.edges);
  const auto same = [](const auto& a, const auto& b) { return key(a) == key(b); };
  if (!std::equal(expected.begin(), expected.end(), given.begin(), given.end(), same)) {
    throw_error(ErrorKind::usage, "plan: its {} edges are not the {} edges that its partitions have in this graph",
                given.size(), expected.size());
  }
  const bool durations = is_duration(plan.predicted_s) && is_duration(plan.bottleneck_s) &&
                         is_duration(plan.lower_bound_s) &&
                         std::all_of(plan.edges.begin(), plan.edges.end(),
                                     [](const PlannedEdge& edge) { return is_duration(edge.predicted_s); });
  if (!durations) throw Error(ErrorKind::usage, "plan: a predicted time is negative or no number");
}

Plan single_device_plan(const Graph& graph, const std::string& device, const std::string& model_hash) {
  Plan plan;
  plan.policy = "single-device";
  plan.model_hash = model_hash;
  if (!graph.nodes().empty()) {
    PlannedPartition all;
    all.device = device;
    all.reason = "the only device in use";
    for (NodeId id = 0; id < graph.nodes().size(); ++id) all.nodes.push_back(id);
    plan.partitions.push_back(std::move(all));
  }
  connect_partitions(plan, graph);
  return plan;
}

}  // namespace sparse_run
