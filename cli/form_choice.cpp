// Trying forms on a virtual clock.
#include "cli/form_choice.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "partitioner/forms.hpp"

namespace sparse_run::cli {

namespace {

constexpr double kClearlyFaster = 1.05;
constexpr std::int64_t kFewestPerRank = 4, kMostPerRank = 32;  // simulated requests

}  // namespace

FormChoice choose_form(const PlacementPlanner& planner, const Graph& graph, int ranks, const LinkRates& link,
                       std::int64_t requests, const std::function<void(const std::string&)>& notice) {
  PlannerOptions planning = planner.options();
  planning.plan_text.reset();
  planning.notice = nullptr;
  if (planning.topology.ranks() < ranks) {
    planning.topology.hosts.resize(1);
    planning.topology.hosts.front().count = ranks;
    planning.topology.network_gb_per_s = link.bytes_per_s / 1e9;
    planning.topology.network_latency_us = 1e6 * link.latency_s;
  } else if (planning.topology.hosts.front().count > ranks) {
    planning.topology.hosts.resize(1);
    planning.topology.hosts.front().count = ranks;
  }
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

}  // namespace sparse_run::cli
