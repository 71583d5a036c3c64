// Deriving crossings from a plan.
#include "runtime/distributed/pipeline_layout.hpp"

#include <algorithm>

#include "partitioner/rank_stages.hpp"
#include "runtime/distributed/part_graph.hpp"
#include "runtime/partition_boundary.hpp"

namespace sparse_run {

PipelineLayout::PipelineLayout(std::shared_ptr<const Graph> of, const Plan& plan, int ranks, int first_channel)
    : graph(std::move(of)) {
  validate_plan(plan, *graph);
  std::vector<int> stage_of(graph->nodes().size(), 0);
  int highest = 0;
  for (const PlannedPartition& partition : plan.partitions) {
    if (partition.rank >= ranks) {
      throw_error(ErrorKind::usage, "the plan names rank {}, and there are {}; start more or plan for fewer",
                  partition.rank, ranks);
    }
    highest = std::max(highest, partition.rank);
    for (const NodeId id : partition.nodes) stage_of[id] = partition.rank;
  }
  stages.resize(static_cast<std::size_t>(highest) + 1);
  std::vector<std::vector<NodeId>> nodes(stages.size());
  for (NodeId id = 0; id < stage_of.size(); ++id) nodes[static_cast<std::size_t>(stage_of[id])].push_back(id);
  for (std::size_t stage = 0; stage < stages.size(); ++stage) stages[stage] = boundary_of(graph, nodes[stage]);
  const auto add = [&](ValueId value, int from, int to) {
    if (!can_cross_ranks(graph->value(value).type)) {
      throw_error(ErrorKind::usage, "'{}' is {} and cannot cross ranks: its size is not known before it exists",
                  graph->value(value).name, to_string(graph->value(value).type));
    }
    crossings.push_back({value, from, to, first_channel + static_cast<int>(crossings.size())});
  };
  for (std::size_t stage = 0; stage < stages.size(); ++stage) {
    const int here = static_cast<int>(stage);
    for (const ValueId value : stages[stage].inputs) {
      const auto producer = graph->producer(value);
      const int from = producer ? stage_of[*producer] : Crossing::kLeader;
      if (from > here) {
        throw_error(ErrorKind::usage, "the plan leads back from rank {} to rank {} with '{}': stages go one way", from,
                    here, graph->value(value).name);
      }
      add(value, from, here);
    }
    for (const ValueId value : stages[stage].outputs) {
      if (graph->is_output(value)) add(value, here, Crossing::kLeader);
    }
  }
}

int PipelineLayout::end_channel() const { return crossings.empty() ? 0 : crossings.back().channel + 1; }

std::size_t PipelineLayout::bytes(const Crossing& crossing) const {
  const Type& type = graph->value(crossing.value).type;
  return static_cast<std::size_t>(element_count(*type.shape)) * element_size(type.dtype);
}

}  // namespace sparse_run
