// Trying forms on a virtual clock.
#include "cli/form_choice.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "partitioner/forms.hpp"

namespace sparse_run::cli {

namespace {

constexpr double kClearlyFaster = 1.05;
constexpr std::int64_t kFewestPerRank = 4, kMostPerRank = 32;  // simulated requests

/// The planner's, with so many ranks; these are joined by the link where it has fewer.
Topology topology_of(const PlacementPlanner& planner, int ranks, const LinkRates& link) {
  Topology topology = planner.options().topology;
  if (topology.ranks() < ranks) {
    topology.hosts.resize(1);
    topology.hosts.front().count = ranks;
    topology.network_gb_per_s = link.bytes_per_s / 1e9;
    topology.network_latency_us = 1e6 * link.latency_s;
  } else if (topology.hosts.front().count > ranks) {
    topology.hosts.resize(1);
    topology.hosts.front().count = ranks;
  }
  return topology;
}

}  // namespace

FormChoice choose_form(const PlacementPlanner& planner, const Graph& graph, int ranks, const LinkRates& link,
                       std::int64_t requests, const std::function<void(const std::string&)>& notice) {
  PlannerOptions planning = planner.options();
  planning.plan_text.reset();
  planning.notice = nullptr;
  planning.topology = topology_of(planner, ranks, link);
  SimulationOptions simulation;
  simulation.requests = std::clamp<std::int64_t>(requests, kFewestPerRank * ranks, kMostPerRank * ranks);
  const std::vector<ClusterForm> forms = simulate_forms(planning, graph, simulation);
  const auto data = std::find_if(forms.begin(), forms.end(), [](const ClusterForm& form) { return form.ranks == 1; });
  const bool spread =
      data != forms.end() && forms.front().simulation.throughput < kClearlyFaster * data->simulation.throughput;
  const ClusterForm& best = spread ? *data : forms.front();
  if (notice) {
    std::string text;
    for (const ClusterForm& form : forms)
      text += fmt::format("{}{} {:.4g}", text.empty() ? "" : ", ", form.name, form.simulation.throughput);
    notice(fmt::format("--parallel auto: {}; simulated requests/s: {} (link of {:.3g} GB/s, {:.3g} us)", best.name,
                       text, planning.topology.network_gb_per_s, planning.topology.network_latency_us));
  }
  if (best.ranks == 1) return {};
  return {best.replicas > 1 ? Parallel::hybrid : Parallel::pipeline, best.ranks, best.replicas};
}

double simulated_rate(const PlacementPlanner& planner, const Graph& graph, Plan plan, int ranks, int groups,
                      const LinkRates& link, std::span<const double> stage_s) {
  const auto stages = static_cast<int>(stage_s.size());
  for (PlannedPartition& partition : plan.partitions)
    partition.predicted_s = stage_s[static_cast<std::size_t>(partition.rank)];
  SimulationOptions simulation;
  simulation.requests = kMostPerRank * ranks;
  simulation.replicas = groups;
  simulation.in_flight = stages + 2;  // as the pipeline has
  return simulate(plan, graph, topology_of(planner, ranks, link), simulation).throughput;
}

}  // namespace sparse_run::cli
