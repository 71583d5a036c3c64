// Carrying placements from one form of a model to another.
#include "runtime/model_placement.hpp"

#include <algorithm>
#include <optional>

namespace sparse_run {

void NamedPlacement::add(const Graph& graph, NodeId node, const Place& place) {
  nodes[graph.node(node).name] = place;
  for (const ValueId value : graph.node(node).outputs) {
    if (value != kNoValue) values[graph.value(value).name] = place;
  }
}

NamedPlacement placement_of(const Plan& plan, const Graph& graph) {
  NamedPlacement placement;
  for (const PlannedPartition& partition : plan.partitions) {
    for (const NodeId node : partition.nodes) placement.add(graph, node, {partition.device, partition.stage});
  }
  return placement;
}

std::vector<NamedPlacement::Place> places_in(const Graph& graph, const NamedPlacement& placement,
                                             const NamedPlacement::Place& fallback) {
  const std::size_t count = graph.nodes().size();
  std::vector<std::optional<NamedPlacement::Place>> places(count);
  for (NodeId id = 0; id < count; ++id) {
    const Node& node = graph.node(id);
    if (const auto named = placement.nodes.find(node.name); named != placement.nodes.end()) {
      places[id] = named->second;
      continue;
    }
    for (const ValueId value : node.outputs) {
      if (value == kNoValue) continue;
      const auto computed = placement.values.find(graph.value(value).name);
      if (computed == placement.values.end()) continue;
      places[id] = computed->second;
      break;
    }
  }
  for (auto id = static_cast<std::ptrdiff_t>(count) - 1; id >= 0; --id) {  // readers come later: they are known first
    auto& place = places[static_cast<std::size_t>(id)];
    for (const ValueId value : graph.node(static_cast<NodeId>(id)).outputs) {
      if (place || value == kNoValue) continue;
      for (const NodeId reader : graph.consumers(value)) {
        if (places[reader]) place = places[reader];
        if (place) break;
      }
    }
  }
  std::vector<NamedPlacement::Place> result;
  for (NodeId id = 0; id < count; ++id) {
    for (const ValueId value : graph.node(id).inputs) {
      if (places[id] || value == kNoValue) continue;
      if (const auto producer = graph.producer(value)) places[id] = places[*producer];
    }
    result.push_back(places[id].value_or(fallback));
  }
  return result;
}

Plan follow_placement(const Graph& graph, const NamedPlacement& placement,
                      std::span<const std::shared_ptr<Device>> devices, const std::string& model_hash) {
  Plan plan;
  plan.policy = "model";
  plan.model_hash = model_hash;
  const std::string home = devices.front()->name();
  const auto places = places_in(graph, placement, {home, 0});
  for (NodeId id = 0; id < places.size(); ++id) {
    const auto wanted = std::find_if(devices.begin(), devices.end(),
                                     [&](const auto& device) { return device->name() == places[id].device; });
    std::string reason = "the model says so";
    std::string device = home;
    if (wanted == devices.end()) {
      reason = "the model names '" + places[id].device + "', which is not in use";
    } else if (std::string refusal = (*wanted)->refusal(graph, graph.node(id)); !refusal.empty()) {
      reason = places[id].device + " cannot run it: " + refusal;
    } else {
      device = places[id].device;
    }
    if (plan.partitions.empty() || plan.partitions.back().device != device) {
      plan.partitions.emplace_back();
      plan.partitions.back().device = device;
      plan.partitions.back().reason = reason;
    }
    plan.partitions.back().nodes.push_back(id);
  }
  connect_partitions(plan, graph);
  return plan;
}

}  // namespace sparse_run
