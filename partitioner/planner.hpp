// From a graph to a validated plan: topology, costs, pins, plan files and policies brought together.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "partitioner/pin.hpp"
#include "partitioner/plan.hpp"
#include "partitioner/policies/policy.hpp"

namespace sparse_run {

/// Runs plans of a graph, the most promising first, and returns the seconds of a request under each; NaN where a plan
/// was not run. Thread-safe.
using PlanMeasurer = std::function<std::vector<double>(const Graph& graph, std::span<const Plan> plans)>;

struct PlannerOptions {
  Topology topology;
  std::optional<Calibration> calibration;  ///< of the CPU in the topology
  std::vector<std::string> devices;        ///< names in use; empty: all of the topology
  int ranks = 1;
  std::map<std::string, std::uint64_t> memory_limits;
  PolicyChoice policy;
  Objective objective = Objective::latency;
  std::uint64_t seed = 0;
  std::vector<Pin> pins;
  std::optional<std::string> plan_text;  ///< a plan file that is to be followed
  std::string plan_name;                 ///< its name, for messages
  bool strict = false;                   ///< no deviation from the plan file is tolerated
  std::string model_hash;
  PlanMeasurer measure;  ///< decides between a policy's candidates, for latency; empty: predictions do
  std::function<void(const std::string&)> notice;  ///< hears warnings; may be empty
  DeviceRefusal refusal = {};                      ///< what open devices cannot run
};

/// Thread-safe. Knows the model's weights, so one planner serves all input shapes of a model, and its bodies.
class PlacementPlanner {
 public:
  explicit PlacementPlanner(PlannerOptions options);

  /// A plan for the graph: from the plan file where it fits (the first graph asked for has to fit), else by the
  /// policy; pins beat both. Error(usage) for plans, pins and policies that are wrong, Error(limit) when devices are
  /// too small.
  Plan plan(const Graph& graph);

  /// The problem that plan() solved.
  PlacementProblem problem(const Graph& graph);
  const CostModel& costs() const noexcept { return costs_; }
  /// What was asked for, the topology with the calibration's measurements in it.
  const PlannerOptions& options() const noexcept { return options_; }

 private:
  PlacementProblem pinned_problem(const Graph& graph, bool first, ResolvedPins& pins);
  Plan follow_file(const Graph& graph, const PlacementProblem& problem, const ResolvedPins& pins);
  Plan place_by_policy(const Graph& graph, const PlacementProblem& problem) const;
  void warn(const std::string& text) const;

  PlannerOptions options_;
  std::string topology_hash_;  ///< of the topology as it was given: measurements have a hash of their own
  CostModel costs_;
  ZeroCounts zeros_;
  std::atomic<bool> first_{true};
};

/// The plan that an assignment comes to, with predictions, reasons and memory; hashes are left empty.
Plan plan_of(const PlacementProblem& problem, const Assignment& assignment);

/// The assignment that a valid plan is. Error(usage) when it names a device that the problem does not have or places a
/// node where it may not run.
Assignment assignment_of(const PlacementProblem& problem, const Plan& plan);

/// Fills in predictions of a plan whose partitions and edges are given.
void predict_plan(const PlacementProblem& problem, Plan& plan);

}  // namespace sparse_run
