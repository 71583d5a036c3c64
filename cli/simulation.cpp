// Simulating a cluster and telling about it.
#include "cli/simulation.hpp"

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "cli/partial_file.hpp"
#include "cli/placement.hpp"
#include "cli/quantities.hpp"
#include "cli/text_table.hpp"
#include "partitioner/forms.hpp"
#include "partitioner/plan_html.hpp"

namespace sparse_run::cli {

namespace {

constexpr std::int64_t kRequestsPerRank = 100;
constexpr std::size_t kTraceSpans = 100'000;
constexpr std::size_t kShownUses = 8;

std::string percent(double share) { return fmt::format("{:.0f}%", 100 * share); }

}  // namespace

std::string simulate_cluster(const Options& options, const PlacementPlanner& planner, const Graph& graph) {
  PlannerOptions planning = planner.options();
  const DeviceSpec this_cpu = planner.options().topology.hosts.front().cpu();
  planning.topology = with_context([&] { return "--simulate " + options.simulate; },
                                   [&] {
                                     return topology_from_json(read_text(options.simulate, "--simulate"),
                                                               this_cpu.discovered ? &this_cpu : nullptr);
                                   });
  // Measurements are those of this machine.
  if (!planning.topology.hosts.front().cpu().discovered) planning.calibration.reset();
  if (options.memory_limits.empty()) planning.memory_limits.clear();
  SimulationOptions simulation;
  simulation.requests = options.requests.value_or(kRequestsPerRank * planning.topology.ranks());
  simulation.in_flight = options.streams.value_or(2);
  if (!options.trace.empty()) simulation.kept_spans = kTraceSpans;
  const auto start = Clock::now();
  const std::vector<ClusterForm> forms = simulate_forms(planning, graph, simulation);
  const double seconds = seconds_since(start);

  std::string text =
      fmt::format("simulated   {}: {} host{}, {} requests; planned and simulated in {}\n", planning.topology.name,
                  planning.topology.ranks(), planning.topology.ranks() == 1 ? "" : "s",
                  format_count(static_cast<double>(simulation.requests)), format_seconds(seconds));
  TextTable table(
      {"form", "policy", "partitions", "makespan", "requests/s", "p50", "p99", "devices busy", "links", "network"},
      "llrrrrrrrr");
  for (const ClusterForm& form : forms) {
    const Simulation& result = form.simulation;
    table.add({form.name, form.plan.policy, std::to_string(form.plan.partitions.size()),
               format_seconds(result.makespan_s), fmt::format("{:.5g}", result.throughput),
               format_seconds(result.latency_p50_s), format_seconds(result.latency_p99_s),
               fmt::format("{}-{}, mean {}", percent(result.device_busy_min), percent(result.device_busy_max),
                           percent(result.device_busy_mean)),
               format_bytes(result.link_bytes), format_bytes(result.network_bytes)});
  }
  text += table.text();
  const ClusterForm& best = forms.front();
  text += fmt::format("busiest, {}:\n", best.name);
  for (std::size_t i = 0; i < std::min(kShownUses, best.simulation.uses.size()); ++i) {
    const SimulatedUse& use = best.simulation.uses[i];
    text += fmt::format("  {:>4} {}{}\n", percent(use.busy), use.name,
                        use.bytes > 0 ? ", " + format_bytes(use.bytes) : std::string());
  }
  if (!options.trace.empty()) {
    write_text_file(options.trace, simulation_trace(best.simulation));
    if (best.simulation.spans_left_out > 0) {
      text += fmt::format("the trace keeps the first {} spans of {}\n", kTraceSpans,
                          kTraceSpans + static_cast<std::size_t>(best.simulation.spans_left_out));
    }
  }
  if (options.plan_out.ends_with(".json")) write_text_file(options.plan_out, plan_to_json(best.plan, graph));
  if (options.plan_out.ends_with(".dot")) write_text_file(options.plan_out, plan_to_dot(best.plan, graph));
  if (options.plan_out.ends_with(".html")) write_text_file(options.plan_out, plan_to_html(best.plan, graph));
  return text;
}

}  // namespace sparse_run::cli
