// Making plans.
#include "partitioner/planner.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "base/error.hpp"

namespace sparse_run {

namespace {

std::string device_label(const CandidateDevice& device) {
  return device.rank == 0 ? device.spec.name : fmt::format("{} of rank {}", device.spec.name, device.rank);
}

double group_time(const PlacementProblem& problem, const std::vector<NodeId>& nodes, int device) {
  double sum = 0;
  for (const NodeId node : nodes) sum += problem.time(static_cast<int>(node), device);
  return sum;
}

/// "gpu:0 cannot run node 'x' (Det): why", and how many more; empty when no device refused any of them.
std::string refusals_of(const PlacementProblem& problem, const std::vector<NodeId>& nodes) {
  std::string text;
  std::size_t others = 0;
  for (const NodeId node : nodes) {
    for (int d = 0; d < problem.device_count(); ++d) {
      const auto refusal = problem.refusals.find(problem.at(static_cast<int>(node), d));
      if (refusal == problem.refusals.end()) continue;
      if (!text.empty()) {
        ++others;
        continue;
      }
      text = fmt::format("{} cannot run {}: {}", device_label(problem.devices[static_cast<std::size_t>(d)]),
                         problem.graph->node(node).describe(), refusal->second);
    }
  }
  return others == 0 ? text : fmt::format("{} (and {} more)", text, others);
}

/// One sentence: its time here against the best elsewhere, and what kind of work it is.
std::string reason_for(const PlacementProblem& problem, const std::vector<NodeId>& nodes, int device) {
  if (problem.device_count() == 1) return "the only device in use";
  const double here = group_time(problem, nodes, device);
  int other = -1;
  for (int d = 0; d < problem.device_count(); ++d) {
    if (d == device || (other >= 0 && group_time(problem, nodes, d) >= group_time(problem, nodes, other))) continue;
    other = d;
  }
  double flops = 0;
  double sparse = 0;
  bool fixed = true;
  for (const NodeId node : nodes) {
    const NodeWork& work = problem.works[node];
    flops += work.dense_flops;
    if (problem.sparse[problem.at(static_cast<int>(node), device)]) sparse += work.dense_flops;
    fixed &= problem.pinned[node] == device;
  }
  std::string reason =
      fmt::format("predicted {:.4g} ms here, {:.4g} ms on {}", 1e3 * here, 1e3 * group_time(problem, nodes, other),
                  device_label(problem.devices[static_cast<std::size_t>(other)]));
  if (fixed) return "pinned; " + reason;
  if (const std::string refusals = refusals_of(problem, nodes); !refusals.empty()) return reason + "; " + refusals;
  if (flops > 0 && sparse > 0.5 * flops) reason += "; sparse kernels skip most of its weights";
  if (here > group_time(problem, nodes, other)) reason += "; staying saves copies";
  return reason;
}

void add_memory(const PlacementProblem& problem, const Schedule& schedule, Plan& plan) {
  plan.memory.clear();
  for (std::size_t d = 0; d < problem.devices.size(); ++d) {
    const CandidateDevice& device = problem.devices[d];
    plan.memory.push_back(
        {device.spec.name, device.rank, schedule.weight_bytes[d], schedule.activation_bytes[d], device.memory_limit});
  }
}

/// "all on cpu", "3 partitions on cpu, gpu:0"
std::string summary(const Plan& plan) {
  std::set<std::string> devices;
  for (const PlannedPartition& partition : plan.partitions) devices.insert(partition.device);
  if (devices.size() == 1) return "all on " + *devices.begin();
  return fmt::format("{} partitions on {}", plan.partitions.size(), fmt::join(devices, ", "));
}

/// A plan is preferred to one that comes before it only when it is faster by more than this share.
constexpr double kMeasurablyFaster = 0.01;

int device_of(const PlacementProblem& problem, const PlannedPartition& partition) {
  for (std::size_t d = 0; d < problem.devices.size(); ++d) {
    if (problem.devices[d].spec.name == partition.device && problem.devices[d].rank == partition.rank) {
      return static_cast<int>(d);
    }
  }
  throw_error(ErrorKind::usage, "plan: device '{}' of rank {} is not in use; see --devices and --list-devices",
              partition.device, partition.rank);
}

}  // namespace

Assignment assignment_of(const PlacementProblem& problem, const Plan& plan) {
  Assignment assignment(problem.works.size(), 0);
  for (const PlannedPartition& partition : plan.partitions) {
    const int device = device_of(problem, partition);
    for (const NodeId node : partition.nodes) {
      if (!problem.may(static_cast<int>(node), device)) {
        throw_error(ErrorKind::usage, "plan: {} may not run on '{}'", problem.graph->node(node).describe(),
                    partition.device);
      }
      assignment[node] = device;
    }
  }
  return assignment;
}

void predict_plan(const PlacementProblem& problem, Plan& plan) {
  const Assignment assignment = assignment_of(problem, plan);
  std::vector<int> devices;
  for (PlannedPartition& partition : plan.partitions) {
    const int device = device_of(problem, partition);
    devices.push_back(device);
    const CandidateDevice& candidate = problem.devices[static_cast<std::size_t>(device)];
    partition.predicted_s = candidate.dispatch_s;
    partition.weight_bytes = 0;
    double confidence = 0;
    for (const NodeId node : partition.nodes) {
      const std::size_t at = problem.at(static_cast<int>(node), device);
      partition.predicted_s += problem.seconds[at];
      partition.weight_bytes += problem.weight_bytes[at];
      confidence += problem.seconds[at] * static_cast<double>(problem.confidence[at]);
    }
    partition.confidence = partition.predicted_s > 0 ? std::clamp(confidence / partition.predicted_s, 0.0, 1.0) : 0;
  }
  for (PlannedEdge& edge : plan.edges) {
    const int from = edge.from < 0 ? 0 : devices[static_cast<std::size_t>(edge.from)];
    edge.predicted_s = problem.copy_time(from, devices[static_cast<std::size_t>(edge.to)], edge.bytes);
  }
  Scheduler scheduler(problem);
  const Schedule& schedule = scheduler.evaluate(assignment);
  plan.predicted_s = schedule.latency_s;
  plan.bottleneck_s = schedule.bottleneck_s;
  plan.lower_bound_s = latency_lower_bound(problem);
  add_memory(problem, schedule, plan);
}

Plan plan_of(const PlacementProblem& problem, const Assignment& assignment) {
  Plan plan;
  Scheduler scheduler(problem);
  std::vector<int> partition_of(problem.works.size(), 0);
  for (const NodeGroup& group : scheduler.partition(assignment)) {
    const CandidateDevice& device = problem.devices[static_cast<std::size_t>(group.device)];
    PlannedPartition partition;
    partition.device = device.spec.name;
    partition.rank = device.rank;
    for (const int node : group.nodes) {
      const auto n = static_cast<std::size_t>(node);
      partition.nodes.push_back(static_cast<NodeId>(node));
      if (problem.pinned[n] >= 0) partition.pinned.push_back(static_cast<NodeId>(node));
      partition_of[n] = static_cast<int>(plan.partitions.size());
      for (const int v : problem.reads[n]) {
        const int producer = problem.values[static_cast<std::size_t>(v)].producer;
        if (producer < 0 || partition_of[static_cast<std::size_t>(producer)] == partition_of[n]) continue;
        const PlannedPartition& before =
            plan.partitions[static_cast<std::size_t>(partition_of[static_cast<std::size_t>(producer)])];
        partition.stage = std::max(partition.stage, before.stage + (before.rank != partition.rank ? 1 : 0));
      }
    }
    partition.reason = reason_for(problem, partition.nodes, group.device);
    plan.partitions.push_back(std::move(partition));
  }
  connect_partitions(plan, *problem.graph);
  predict_plan(problem, plan);
  return plan;
}

PlacementPlanner::PlacementPlanner(PlannerOptions options)
    : options_(std::move(options)),
      topology_hash_(topology_hash(options_.topology)),
      costs_(options_.calibration ? &*options_.calibration : nullptr) {
  if (options_.calibration) use_measurements(options_.topology, *options_.calibration);
}

void PlacementPlanner::warn(const std::string& text) const {
  if (options_.strict) throw_error(ErrorKind::usage, "--strict: {}", text);
  if (options_.notice) options_.notice(text);
}

PlacementProblem PlacementPlanner::pinned_problem(const Graph& graph, bool first, ResolvedPins& pins) {
  PlacementRequest request;
  request.topology = &options_.topology;
  request.devices = options_.devices;
  request.ranks = options_.ranks;
  request.memory_limits = options_.memory_limits;
  request.costs = &costs_;
  request.zeros = &zeros_;
  request.refusal = options_.refusal;
  pins = resolve_pins(options_.pins, graph, candidate_devices(request), first);
  request.pinned_device = pins.device;
  return make_problem(graph, request);
}

PlacementProblem PlacementPlanner::problem(const Graph& graph) {
  ResolvedPins pins;
  return pinned_problem(graph, false, pins);
}

Plan PlacementPlanner::follow_file(const Graph& graph, const PlacementProblem& problem, const ResolvedPins& pins) {
  Plan plan = plan_from_json(*options_.plan_text, graph);
  if (!plan.model_hash.empty() && plan.model_hash != options_.model_hash) {
    throw_error(ErrorKind::usage, "the plan was made for a model with hash {}, this one has {}; plan again",
                plan.model_hash, options_.model_hash);
  }
  if (!plan.topology_hash.empty() && plan.topology_hash != topology_hash_) {
    warn(fmt::format("{}: the plan was made for another topology; its predictions are replaced", options_.plan_name));
  }
  const std::string calibration = options_.calibration ? options_.calibration->hash() : "";
  if (plan.calibration_hash != calibration && !plan.calibration_hash.empty()) {
    warn(fmt::format("{}: the plan was made with another calibration; its predictions are replaced",
                     options_.plan_name));
  }
  const bool pinned = std::any_of(pins.device.begin(), pins.device.end(), [](int device) { return device >= 0; });
  if (pinned) {
    PlacementProblem free = problem;
    std::fill(free.allowed.begin(), free.allowed.end(), std::uint8_t{1});
    Assignment assignment = assignment_of(free, plan);
    for (std::size_t n = 0; n < assignment.size(); ++n) {
      if (pins.device[n] >= 0) assignment[n] = pins.device[n];
    }
    Plan merged = plan_of(problem, assignment);
    std::unordered_map<NodeId, std::string> kernels;
    for (const PlannedPartition& partition : plan.partitions) {
      for (std::size_t i = 0; i < partition.kernels.size(); ++i) kernels[partition.nodes[i]] = partition.kernels[i];
    }
    for (PlannedPartition& partition : merged.partitions) {
      if (kernels.empty()) break;
      for (const NodeId node : partition.nodes) partition.kernels.push_back(pins.device[node] < 0 ? kernels[node] : "");
    }
    merged.policy = plan.policy + " with pins";
    return merged;
  }
  predict_plan(problem, plan);
  return plan;
}

Plan PlacementPlanner::place_by_policy(const Graph& graph, const PlacementProblem& problem) const {
  const Policy& policy = *options_.policy.policy;
  PolicyOptions policy_options;
  policy_options.objective = options_.objective;
  policy_options.seed = options_.seed;
  policy_options.parameters = options_.policy.parameters;
  std::vector<Plan> plans;
  const bool measures = options_.measure && options_.objective == Objective::latency && problem.device_count() > 1;
  if (measures) {
    for (Assignment& assignment : policy.candidates(problem, policy_options)) {
      if (!plans.empty() && Scheduler(problem).evaluate(assignment).overcommitted > 0) continue;
      plans.push_back(plan_of(problem, checked_placement(policy, problem, std::move(assignment))));
    }
  } else {
    plans.push_back(plan_of(problem, place(policy, problem, policy_options)));
  }
  std::size_t best = 0;
  if (plans.size() > 1) {
    const std::vector<double> seconds = options_.measure(graph, plans);
    require(seconds.size() == plans.size(), "a measurement has a number for every plan");
    for (std::size_t i = 0; i < plans.size(); ++i) {
      if (std::isnan(seconds[i])) continue;
      if (std::isnan(seconds[best]) || seconds[i] < (1 - kMeasurablyFaster) * seconds[best]) best = i;
    }
    std::vector<TriedPlan> tried;
    for (std::size_t i = 0; i < plans.size(); ++i) {
      if (std::isnan(seconds[i])) continue;
      tried.push_back({summary(plans[i]), plans[i].predicted_s, seconds[i]});
      if (i == best) std::rotate(tried.begin(), tried.end() - 1, tried.end());
    }
    plans[best].tried = std::move(tried);
  }
  plans[best].policy = policy.name();
  return std::move(plans[best]);
}

Plan PlacementPlanner::plan(const Graph& graph) {
  const bool first = first_.exchange(false);
  ResolvedPins pins;
  const PlacementProblem problem = pinned_problem(graph, first, pins);
  std::optional<Plan> plan;
  if (options_.plan_text) {
    try {
      plan = with_context([&] { return options_.plan_name; }, [&] { return follow_file(graph, problem, pins); });
    } catch (const Error& error) {
      if (first || error.kind() != ErrorKind::usage) throw;
      warn(fmt::format("{}: it does not fit graph '{}', which policy '{}' places", options_.plan_name, graph.name(),
                       options_.policy.policy->name()));
    }
  }
  if (!plan) plan = place_by_policy(graph, problem);
  for (PlannedPartition& partition : plan->partitions) {
    if (!pins.any_kernel) break;
    partition.kernels.resize(partition.nodes.size());
    for (std::size_t i = 0; i < partition.nodes.size(); ++i) {
      const std::string& kernel = pins.kernel[partition.nodes[i]];
      if (!kernel.empty()) partition.kernels[i] = kernel;
    }
  }
  for (const PlannedMemory& memory : plan->memory) {
    if (memory.limit_bytes > 0 && memory.weight_bytes + memory.activation_bytes > memory.limit_bytes) {
      throw_error(ErrorKind::limit,
                  "the plan needs {:.1f} MiB on {}, its limit is {:.1f} MiB; raise --memory-limit, use a smaller batch "
                  "or plan again",
                  static_cast<double>(memory.weight_bytes + memory.activation_bytes) / (1 << 20), memory.device,
                  static_cast<double>(memory.limit_bytes) / (1 << 20));
    }
  }
  plan->objective = std::string(objective_name(options_.objective));
  plan->seed = options_.seed;
  plan->model_hash = options_.model_hash;
  plan->topology_hash = topology_hash_;
  plan->calibration_hash = options_.calibration ? options_.calibration->hash() : "";
  validate_plan(*plan, graph);
  return *std::move(plan);
}

}  // namespace sparse_run
