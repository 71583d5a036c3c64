// Joining plans with kernels and measurements.
#include "cli/plan_report.hpp"

#include <unordered_map>

#include "partitioner/explain.hpp"
#include "partitioner/plan_html.hpp"

namespace sparse_run::cli {

std::string placement_text(PlacementPlanner& planner, const CompileReport& compiled,
                           const std::optional<Profile>& profile) {
  const PlacementProblem problem = planner.problem(*compiled.graph);
  return explain_placement(problem, planner.costs(), compiled.plan, planner.options().objective,
                           profile ? std::span<const double>(profile->partition_ms) : std::span<const double>(),
                           profile ? std::optional(profile->total_ms) : std::nullopt);
}

std::string plan_page(PlacementPlanner& planner, const CompileReport& compiled, const std::optional<Profile>& profile) {
  const PlacementProblem problem = planner.problem(*compiled.graph);
  const Assignment assignment = assignment_of(problem, compiled.plan);
  PlanFindings findings;
  findings.nodes.resize(compiled.graph->nodes().size());
  std::unordered_map<std::string, std::size_t> by_name;
  for (std::size_t n = 0; n < findings.nodes.size(); ++n) {
    by_name.emplace(compiled.graph->nodes()[n].name, n);
    findings.nodes[n].zeros = problem.works[n].zeros;
    findings.nodes[n].predicted_ms = 1e3 * problem.time(static_cast<int>(n), assignment[n]);
  }
  for (std::size_t p = 0; p < compiled.layers.size(); ++p) {
    for (std::size_t i = 0; i < compiled.layers[p].size(); ++i) {
      const auto node = by_name.find(compiled.layers[p][i].name);
      if (node == by_name.end()) continue;
      findings.nodes[node->second].kernel = compiled.layers[p][i].kernel;
      if (profile && p < profile->layer_ms.size() && i < profile->layer_ms[p].size()) {
        findings.nodes[node->second].measured_ms = profile->layer_ms[p][i];
      }
    }
  }
  if (profile) findings.partition_measured_ms = profile->partition_ms;
  return plan_to_html(compiled.plan, *compiled.graph, findings);
}

}  // namespace sparse_run::cli
