// The simulator against schedules that can be computed by hand.
#include "partitioner/simulator.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "partitioner/example_topologies.hpp"
#include "partitioner/forms.hpp"
#include "partitioner/sample_networks.hpp"

namespace sparse_run {
namespace {

constexpr std::uint64_t kSeed = 20260701;

PlannerOptions options_for(const std::string& topology, const std::string& policy) {
  PlannerOptions options;
  options.topology = example_topology(topology);
  options.policy = parse_policy(policy);
  return options;
}

TEST(Simulator, one_request_takes_what_the_plan_predicts) {
  for (const SampleNetwork& network : {dense_beside_sparse(kSeed), random_chain(kSeed, 8)}) {
    for (const char* policy : {"cpu", "gpu", "auto", "random"}) {
      const PlannerOptions options = options_for("workstation", policy);
      const Plan plan = PlacementPlanner(options).plan(*network.graph);
      const Simulation result = simulate(plan, *network.graph, options.topology, {});
      EXPECT_NEAR(result.makespan_s, plan.predicted_s, 0.01 * plan.predicted_s) << network.name << ", " << policy;
    }
  }
}

TEST(Simulator, a_long_stream_runs_at_the_rate_of_the_busiest_device_or_link) {
  const SampleNetwork network = dense_beside_sparse(kSeed);
  const PlannerOptions options = options_for("workstation", "density");
  const Plan plan = PlacementPlanner(options).plan(*network.graph);
  ASSERT_GT(plan.partitions.size(), 1u);
  SimulationOptions stream;
  stream.requests = 500;
  stream.in_flight = 4;
  const Simulation result = simulate(plan, *network.graph, options.topology, stream);
  EXPECT_NEAR(result.makespan_s / 500, plan.bottleneck_s, 0.05 * plan.bottleneck_s);
  EXPECT_LE(result.device_busy_max, 1.0 + 1e-9);
}

TEST(Simulator, replicas_share_the_requests) {
  const SampleNetwork network = everything_dense(kSeed);
  const PlannerOptions options = options_for("cpu_cluster_256", "cpu");
  const Plan plan = PlacementPlanner(options).plan(*network.graph);
  SimulationOptions one;
  one.requests = 64;
  SimulationOptions four = one;
  four.replicas = 4;
  const Simulation alone = simulate(plan, *network.graph, options.topology, one);
  const Simulation shared = simulate(plan, *network.graph, options.topology, four);
  EXPECT_LT(shared.makespan_s, alone.makespan_s);
  EXPECT_GT(shared.makespan_s, 0.2 * alone.makespan_s);
  EXPECT_EQ(alone.network_bytes, 0);
  EXPECT_GT(shared.network_bytes, 0);
}

TEST(Simulator, spans_of_one_device_do_not_overlap_and_the_trace_is_json) {
  const SampleNetwork network = two_branches(kSeed);
  const PlannerOptions options = options_for("two_emulated", "random");
  const Plan plan = PlacementPlanner(options).plan(*network.graph);
  SimulationOptions stream;
  stream.requests = 20;
  stream.in_flight = 3;
  stream.kept_spans = 100;
  const Simulation result = simulate(plan, *network.graph, options.topology, stream);
  EXPECT_EQ(result.spans.size(), 100u);
  EXPECT_GT(result.spans_left_out, 0);
  std::map<std::string, double> free;
  for (const SimulatedSpan& span : result.spans) {
    if (span.what.find("partition") == std::string::npos) continue;
    EXPECT_GE(span.begin, free[span.track] - 1e-12);
    free[span.track] = span.end;
  }
  const auto json = nlohmann::json::parse(simulation_trace(result));
  EXPECT_GT(json.at("traceEvents").size(), 100u);
}

TEST(Simulator, refuses_plans_that_need_what_is_not_there) {
  const SampleNetwork network = everything_tiny(kSeed);
  const Plan plan = PlacementPlanner(options_for("workstation", "gpu")).plan(*network.graph);
  EXPECT_THROW(simulate(plan, *network.graph, example_topology("cpu_cluster_256"), {}), Error);
  SimulationOptions many;
  many.replicas = 2;
  EXPECT_THROW(simulate(plan, *network.graph, example_topology("workstation"), many), Error);
  many.replicas = 0;
  EXPECT_THROW(simulate(plan, *network.graph, example_topology("workstation"), many), Error);
}

TEST(Forms, clusters_are_tried_as_replicas_and_as_pipelines_and_single_hosts_as_themselves) {
  const SampleNetwork network = everything_dense(kSeed);
  SimulationOptions stream;
  stream.requests = 64;
  const auto cluster = simulate_forms(options_for("cpu_cluster_256", "auto"), *network.graph, stream);
  ASSERT_GE(cluster.size(), 2u);
  EXPECT_GE(cluster.front().simulation.throughput, cluster.back().simulation.throughput);
  const auto single = simulate_forms(options_for("workstation", "auto"), *network.graph, stream);
  ASSERT_EQ(single.size(), 1u);
  EXPECT_EQ(single.front().name, "one host");
}

}  // namespace
}  // namespace sparse_run
