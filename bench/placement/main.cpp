// placement-bench: every policy on every model and topology, by prediction, simulation and, where it can, measurement.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <sstream>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "bench/placement/comparison.hpp"
#include "bench/placement/measured.hpp"
#include "bench/placement/network_file.hpp"
#include "cpu/reference/evaluator.hpp"
#include "graph/onnx/import.hpp"
#include "graph/passes/pipeline.hpp"
#include "partitioner/planner.hpp"
#include "partitioner/sample_networks.hpp"
#include "partitioner/simulator.hpp"
#include "runtime/plan_trial.hpp"

namespace sparse_run::bench {
namespace {

struct Arguments {
  std::vector<std::string> models;
  std::vector<std::string> topologies;
  std::vector<std::string> policies;
  std::string objective = "latency";
  std::string json;
  std::string html;
  std::string calibration;
  double plan_timing = 0;
  std::string networks;  ///< folder to write sample networks into
  int repetitions = 5;
  int random_nodes = 0;
  std::uint64_t seed = 1;
  std::int64_t simulated = 200;
  bool measure = false;
  bool only_given = false;
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw_error(ErrorKind::usage, "{}: cannot be read", path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw_error(ErrorKind::input, "{}: cannot be written", path);
}

std::string stem(const std::string& path) { return std::filesystem::path(path).stem().string(); }

/// The model as the planner sees it, symbolic dimensions being 1.
SampleNetwork load_network(const std::string& path) {
  const Model model = load_model(path);
  reference::ReferenceEvaluator evaluator;
  const Graph optimized = optimize(*model.graph, evaluator);
  std::vector<Type> types;
  for (const ValueId id : optimized.inputs()) {
    Type type = optimized.value(id).type;
    if (!type.shape) throw_error(ErrorKind::usage, "{}: an input has no rank", path);
    for (std::int64_t& dim : *type.shape) dim = dim < 0 ? 1 : dim;
    types.push_back(std::move(type));
  }
  return {stem(path), path, std::make_shared<const Graph>(specialize(optimized, types, evaluator))};
}

struct Case {
  const SampleNetwork* network;
  const Topology* topology;
  PolicyChoice policy;
  Row row;
  Plan plan;
  std::vector<double> planning_ms;
  std::vector<double> measured_ms;
  std::vector<std::vector<double>> partition_ms;  ///< per partition
  std::unique_ptr<PlanTrial> running;
};

using Devices = std::vector<std::shared_ptr<Device>>;

/// `devices` are those of the topology where it can be run, else empty.
void plan_case(Case& one, const Arguments& arguments, const std::optional<Calibration>& calibration,
               const Devices& devices) {
  PlannerOptions options;
  if (one.topology->hosts.front().cpu().discovered) options.calibration = calibration;
  if (arguments.plan_timing > 0 && !devices.empty()) {
    options.measure = [&](const Graph& graph, std::span<const Plan> plans) {
      return time_plans(graph, plans, devices, std::make_shared<reference::ReferenceEvaluator>(), {},
                        {.budget_s = arguments.plan_timing});
    };
  }
  options.topology = *one.topology;
  options.policy = one.policy;
  options.objective = parse_objective(arguments.objective);
  options.seed = arguments.seed;
  try {
    const auto start = Clock::now();
    one.plan = PlacementPlanner(std::move(options)).plan(*one.network->graph);
    one.planning_ms.push_back(1e3 * seconds_since(start));
  } catch (const Error& error) {
    one.row.refusal = error.what();
  }
}

bool same_partitions(const Plan& a, const Plan& b) {
  return std::equal(a.partitions.begin(), a.partitions.end(), b.partitions.begin(), b.partitions.end(),
                    [](const PlannedPartition& p, const PlannedPartition& q) {
                      return p.device == q.device && p.nodes == q.nodes && p.kernels == q.kernels;
                    });
}

/// Looking at the clock costs a little: these runs are others than those of the whole request.
void time_partitions(Case& one, int repetitions) {
  one.partition_ms.resize(one.plan.partitions.size());
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    const std::vector<double> seconds = one.running->partition_seconds();
    for (std::size_t p = 0; p < std::min(seconds.size(), one.partition_ms.size()); ++p) {
      one.partition_ms[p].push_back(1e3 * seconds[p]);
    }
  }
}

void fill_in(Case& one, const Arguments& arguments, const std::optional<Calibration>& calibration) {
  Row& row = one.row;
  row.nodes = one.network->graph->nodes().size();
  row.partitions = one.plan.partitions.size();
  row.predicted_ms = 1e3 * one.plan.predicted_s;
  row.lower_bound_ms = 1e3 * one.plan.lower_bound_s;
  row.bottleneck_ms = 1e3 * one.plan.bottleneck_s;
  SimulationOptions stream;
  stream.requests = arguments.simulated;
  stream.in_flight = 4;
  Topology topology = *one.topology;
  if (calibration) use_measurements(topology, *calibration);
  const Simulation simulated = simulate(one.plan, *one.network->graph, topology, stream);
  row.simulated_per_s = simulated.throughput;
  row.moved_mib = simulated.link_bytes / static_cast<double>(arguments.simulated) / (1 << 20);
  row.planning_ms = estimate_of(one.planning_ms);
  row.measured_ms = estimate_of(one.measured_ms);
  std::set<std::string> devices;
  for (const PlannedPartition& partition : one.plan.partitions) devices.insert(partition.device);
  row.devices = devices.size();
  row.first_of_its_plan = !one.partition_ms.empty();
  row.describes_this_machine = one.topology->hosts.front().cpu().discovered;
  for (std::size_t p = 0; p < one.partition_ms.size(); ++p) {
    const PlannedPartition& partition = one.plan.partitions[p];
    if (partition.device != one.topology->hosts.front().cpu().name) continue;
    row.cpu_partitions.push_back({1e3 * partition.predicted_s, estimate_of(one.partition_ms[p]).median});
  }
}

void compare(const Arguments& arguments) {
  std::vector<SampleNetwork> networks;
  for (const std::string& path : arguments.models) networks.push_back(load_network(path));
  if (arguments.random_nodes > 0) networks.push_back(random_network(arguments.seed, arguments.random_nodes));
  if (!arguments.only_given) {
    for (SampleNetwork& network : sample_networks(arguments.seed)) networks.push_back(std::move(network));
  }
  const Topology here = discover_topology(discover_machine(), 0);
  std::vector<Topology> topologies;
  for (const std::string& path : arguments.topologies) {
    topologies.push_back(with_context([&] { return path; },
                                      [&] { return topology_from_json(read_file(path), &here.hosts.front().cpu()); }));
    topologies.back().name = stem(path);
  }
  std::vector<std::string> policies = arguments.policies;
  if (!arguments.only_given || policies.empty()) {
    for (const PolicyPtr& policy : built_in_policies()) policies.push_back(policy->name());
  }
  std::vector<Case> cases;
  for (const SampleNetwork& network : networks) {
    for (const Topology& topology : topologies) {
      for (const std::string& policy : policies) {
        Case one;
        one.network = &network;
        one.topology = &topology;
        one.policy = parse_policy(policy);
        one.row.model = network.name;
        one.row.topology = topology.name;
        one.row.policy = policy;
        cases.push_back(std::move(one));
      }
    }
  }
  std::optional<Calibration> calibration;
  if (!arguments.calibration.empty()) {
    calibration = with_context([&] { return arguments.calibration; },
                               [&] { return Calibration::from_json(read_file(arguments.calibration)); });
  }
  std::map<const Topology*, Devices> devices;
  for (const Topology& topology : topologies) {
    if (arguments.measure && can_run(topology)) devices[&topology] = open_devices(topology);
  }
  for (int repetition = 0; repetition < arguments.repetitions; ++repetition) {
    for (Case& one : cases) {
      if (repetition > 0 && arguments.plan_timing > 0) continue;  // the choice is made once
      if (one.row.refusal.empty()) plan_case(one, arguments, calibration, devices[one.topology]);
    }
  }
  // Model by model and topology by topology, so that a few plans at a time are in memory.
  for (std::size_t first = 0; first < cases.size(); first += policies.size()) {
    const std::span<Case> rivals(cases.data() + first, policies.size());
    for (Case& one : rivals) {
      if (!one.row.refusal.empty() || devices[one.topology].empty()) continue;
      const bool known = std::any_of(rivals.data(), &one, [&](const Case& other) {
        return other.running && same_partitions(other.plan, one.plan);
      });
      if (known) continue;  // measured once, counts for both
      try {
        one.running = std::make_unique<PlanTrial>(one.network->graph, one.plan, open_devices(*one.topology),
                                                  std::make_shared<reference::ReferenceEvaluator>(), SessionOptions());
      } catch (const Error& error) {
        one.row.refusal = error.what();
      }
    }
    // Each round begins with another plan: what ran before leaves its mark on the caches.
    for (int repetition = 0; repetition < arguments.repetitions; ++repetition) {
      for (std::size_t i = 0; i < rivals.size(); ++i) {
        Case& one = rivals[(i + static_cast<std::size_t>(repetition)) % rivals.size()];
        if (one.running) one.measured_ms.push_back(1e3 * one.running->run_once());
      }
    }
    for (Case& one : rivals) {
      if (one.running) time_partitions(one, arguments.repetitions);
    }
    for (Case& one : rivals) {
      const auto same = std::find_if(rivals.begin(), rivals.end(), [&](const Case& other) {
        return other.row.refusal.empty() && same_partitions(other.plan, one.plan);
      });
      if (one.row.refusal.empty() && !one.running && same != rivals.end()) one.measured_ms = same->measured_ms;
    }
    for (Case& one : rivals) one.running.reset();
  }
  std::vector<Row> rows;
  for (Case& one : cases) {
    if (one.row.refusal.empty()) fill_in(one, arguments, calibration);
    rows.push_back(one.row);
  }
  std::fputs((table_of(rows) + summary_of(rows)).c_str(), stdout);
  if (!arguments.json.empty()) write_file(arguments.json, json_of(rows));
  if (!arguments.html.empty()) write_file(arguments.html, page_of(rows));
}

}  // namespace
}  // namespace sparse_run::bench

int main(int argc, char** argv) {
  sparse_run::bench::Arguments arguments;
  CLI::App app("Compares placement policies over models and topologies, in one interleaved run.");
  app.add_option("models", arguments.models, "ONNX models; sample networks are compared too unless --only-given");
  app.add_option("--topology", arguments.topologies, "topology files")->allow_extra_args(false);
  app.add_option("--policy", arguments.policies,
                 "policies besides the built-in ones: NAME:key=value or a shared object")
      ->allow_extra_args(false);
  app.add_option("--objective", arguments.objective, "latency, throughput or memory");
  app.add_option("--repetitions", arguments.repetitions, "of planning, and of running")->check(CLI::Range(1, 10000));
  app.add_option("--random-nodes", arguments.random_nodes, "adds a random network of so many layers");
  app.add_option("--requests", arguments.simulated, "of each simulation")->check(CLI::Range(1, 10'000'000));
  app.add_option("--seed", arguments.seed, "of policies and networks");
  app.add_option("--json", arguments.json, "write the comparison as JSON");
  app.add_option("--html", arguments.html, "write the comparison as a page");
  app.add_option("--write-networks", arguments.networks, "write the sample networks as ONNX files into this folder");
  app.add_option("--calibration", arguments.calibration,
                 "a file that sparse-run --calibrate stored, for topologies whose CPU is this machine's");
  app.add_option("--plan-timing", arguments.plan_timing,
                 "seconds in which policies may run their best plans against each other (0), with --measure")
      ->check(CLI::Range(0.0, 3600.0));
  app.add_flag("--measure", arguments.measure, "run the plans on topologies of CPU and emulated GPUs");
  app.add_flag("--only-given", arguments.only_given, "only models and policies that are named");
  CLI11_PARSE(app, argc, argv);
  try {
    if (!arguments.networks.empty()) {
      for (const auto& network : sparse_run::sample_networks(arguments.seed)) {
        fmt::print("{}\n", sparse_run::bench::write_network(network, arguments.networks).string());
      }
    } else if (arguments.topologies.empty()) {
      sparse_run::throw_error(sparse_run::ErrorKind::usage, "name a --topology, or --write-networks");
    }
    if (!arguments.topologies.empty()) sparse_run::bench::compare(arguments);
    return 0;
  } catch (const sparse_run::Error& error) {
    fmt::print(stderr, "placement-bench: {}\n", error.what());
    return sparse_run::exit_code(error.kind());
  }
}
