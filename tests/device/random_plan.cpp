// Drawing plans.
#include "tests/device/random_plan.hpp"

#include <algorithm>
#include <set>

namespace sparse_run {

namespace {

std::size_t below(std::size_t count, std::mt19937_64& random) {
  return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
}

/// Kahn's algorithm, any ready node next.
std::vector<NodeId> random_order(const Graph& graph, std::mt19937_64& random) {
  std::vector<std::set<NodeId>> waits(graph.nodes().size());
  for (NodeId id = 0; id < waits.size(); ++id) {
    for (const auto& list : {graph.node(id).inputs, graph.node(id).captures}) {
      for (const ValueId value : list) {
        if (value == kNoValue) continue;
        if (const auto producer = graph.producer(value)) waits[id].insert(*producer);
      }
    }
  }
  std::vector<NodeId> ready;
  for (NodeId id = 0; id < waits.size(); ++id) {
    if (waits[id].empty()) ready.push_back(id);
  }
  std::vector<NodeId> order;
  while (!ready.empty()) {
    const std::size_t pick = below(ready.size(), random);
    const NodeId id = ready[pick];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(pick));
    order.push_back(id);
    for (const ValueId value : graph.node(id).outputs) {
      if (value == kNoValue) continue;
      for (const NodeId reader : graph.consumers(value)) {
        if (waits[reader].erase(id) > 0 && waits[reader].empty()) ready.push_back(reader);
      }
    }
  }
  return order;
}

}  // namespace

Plan random_plan(const Graph& graph, std::span<const std::shared_ptr<Device>> devices, std::mt19937_64& random,
                 std::size_t most_partitions) {
  Plan plan;
  plan.policy = "random-trial";
  const std::vector<NodeId> order = random_order(graph, random);
  if (order.empty()) return plan;
  std::set<std::size_t> cuts{order.size()};
  for (std::size_t i = below(most_partitions, random); i > 0; --i) cuts.insert(1 + below(order.size(), random));
  std::size_t begin = 0;
  for (const std::size_t end : cuts) {
    PlannedPartition partition;
    partition.nodes.assign(order.begin() + static_cast<std::ptrdiff_t>(begin),
                           order.begin() + static_cast<std::ptrdiff_t>(end));
    std::vector<std::string> takers;
    for (const auto& device : devices) {
      const bool takes = std::all_of(partition.nodes.begin(), partition.nodes.end(),
                                     [&](NodeId id) { return device->refusal(graph, graph.node(id)).empty(); });
      if (takes) takers.push_back(device->name());
    }
    partition.device = takers.at(below(takers.size(), random));
    partition.reason = "drawn at random";
    plan.partitions.push_back(std::move(partition));
    begin = end;
  }
  connect_partitions(plan, graph);
  return plan;
}

}  // namespace sparse_run
