// Trying the ways to use a cluster.
#include "partitioner/forms.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

namespace sparse_run {

namespace {

/// Hosts in a row that have the same devices, from rank 0: plans for the first can be repeated on the others.
int equal_hosts(const Topology& topology) { return topology.hosts.front().count; }

}  // namespace

std::vector<ClusterForm> simulate_forms(const PlannerOptions& options, const Graph& graph,
                                        const SimulationOptions& simulation) {
  const int hosts = equal_hosts(options.topology);
  Topology topology = options.topology;
  if (options.calibration) use_measurements(topology, *options.calibration);
  std::vector<ClusterForm> forms;
  std::exception_ptr too_small;
  for (const int ranks : {1, 2, 4}) {
    if (ranks > hosts) break;
    ClusterForm form;
    form.ranks = ranks;
    form.replicas = hosts / ranks;
    form.name = ranks == 1           ? (hosts == 1 ? std::string("one host") : std::string("data"))
                : form.replicas == 1 ? fmt::format("pipeline of {}", ranks)
                                     : fmt::format("{} pipelines of {}", form.replicas, ranks);
    PlannerOptions planning = options;
    planning.ranks = ranks;
    if (ranks > 1) planning.objective = Objective::throughput;
    try {
      form.plan = PlacementPlanner(std::move(planning)).plan(graph);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::limit) throw;
      too_small = std::current_exception();  // more hosts may have the memory
      continue;
    }
    const bool uses_all = std::any_of(form.plan.partitions.begin(), form.plan.partitions.end(),
                                      [&](const PlannedPartition& partition) { return partition.rank == ranks - 1; });
    if (ranks > 1 && !uses_all) continue;  // the best pipeline is shorter, and was tried
    SimulationOptions each = simulation;
    each.replicas = form.replicas;
    each.in_flight = std::max(simulation.in_flight, 2 * ranks);
    form.simulation = simulate(form.plan, graph, topology, each);
    forms.push_back(std::move(form));
  }
  if (forms.empty() && too_small) std::rethrow_exception(too_small);
  std::stable_sort(forms.begin(), forms.end(), [](const ClusterForm& a, const ClusterForm& b) {
    return a.simulation.throughput > b.simulation.throughput;
  });
  return forms;
}

}  // namespace sparse_run
