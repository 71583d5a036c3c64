// Deriving crossings from a plan.
#include "runtime/distributed/pipeline_layout.hpp"

#include <algorithm>

#include "comm/contract/transport.hpp"
#include "partitioner/rank_stages.hpp"
#include "runtime/distributed/part_graph.hpp"
#include "runtime/partition_boundary.hpp"

namespace sparse_run {

namespace {

constexpr std::size_t kSmall = std::size_t{32} << 10;  // such values are copied for company
constexpr std::size_t kWorthPacking = std::size_t{64} << 10;

}  // namespace

PipelineLayout::PipelineLayout(const std::shared_ptr<const Graph>& graph, const Plan& plan, int ranks,
                               int first_channel)
    : inputs(graph->inputs().begin(), graph->inputs().end()),
      outputs(graph->outputs().begin(), graph->outputs().end()) {
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
  const auto know = [&](std::span<const ValueId> values) {
    for (const ValueId value : values) {
      const ValueDef& def = graph->value(value);
      ends_[value] = {def.name, def.type, graph->producer(value).has_value(), def.constant};
    }
  };
  know(inputs);
  know(outputs);
  for (std::size_t stage = 0; stage < stages.size(); ++stage) {
    parts_.push_back(boundary_of(graph, nodes[stage]));
    stages[stage] = {parts_.back().inputs, parts_.back().outputs};
    know(stages[stage].inputs);
    know(stages[stage].outputs);
  }
  for (std::size_t stage = 0; stage < stages.size(); ++stage) {
    const int here = static_cast<int>(stage);
    for (const ValueId value : stages[stage].inputs) {
      const auto producer = graph->producer(value);
      const int from = producer ? stage_of[*producer] : Parcel::kLeader;
      if (from > here) {
        throw_error(ErrorKind::usage, "the plan leads back from rank {} to rank {} with '{}': stages go one way", from,
                    here, name(value));
      }
      add(value, from, here, first_channel);
    }
    for (const ValueId value : stages[stage].outputs) {
      if (graph->is_output(value)) add(value, here, Parcel::kLeader, first_channel);
    }
  }
}

void PipelineLayout::add(ValueId value, int from, int to, int first_channel) {
  const Type& type = this->type(value);
  if (!can_cross_ranks(type)) {
    throw_error(ErrorKind::usage, "'{}' is {} and cannot cross ranks: its size is not known before it exists",
                name(value), to_string(type));
  }
  const std::size_t length = bytes(value);
  if (length <= kSmall) {
    const auto company = std::find_if(parcels.begin(), parcels.end(), [&](const Parcel& parcel) {
      return parcel.from == from && parcel.to == to && bytes(parcel.values.front()) <= kSmall;
    });
    if (company != parcels.end()) {
      company->values.push_back(value);
      company->bytes += length;
      return;
    }
  }
  const bool between_stages = from != Parcel::kLeader && to != Parcel::kLeader;
  const bool may_be_packed = between_stages && element_size(type.dtype) == 4 && length >= kWorthPacking &&
                             length <= comm::kLongestUnknownLength;
  parcels.push_back({from, to, first_channel + static_cast<int>(parcels.size()), {value}, length, may_be_packed});
}

int PipelineLayout::end_channel() const { return parcels.empty() ? 0 : parcels.back().channel + 1; }

std::size_t PipelineLayout::bytes(ValueId value) const {
  const Type& type = this->type(value);
  return static_cast<std::size_t>(element_count(*type.shape)) * element_size(type.dtype);
}

std::string PipelineLayout::name(const Parcel& parcel) const {
  const std::string& first = name(parcel.values.front());
  return parcel.values.size() == 1 ? first : fmt::format("{} and {} more", first, parcel.values.size() - 1);
}

}  // namespace sparse_run
