// What policies promise: valid, within memory, and as good as they say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "base/error.hpp"
#include "partitioner/example_topologies.hpp"
#include "partitioner/planner.hpp"
#include "partitioner/sample_networks.hpp"

namespace sparse_run {
namespace {

constexpr std::uint64_t kSeed = 20260701;

struct Setting {
  Topology topology;
  CostModel costs;
  ZeroCounts zeros;

  PlacementProblem problem(const Graph& graph, std::map<std::string, std::uint64_t> limits = {},
                           std::vector<int> pinned = {}) {
    PlacementRequest request;
    request.topology = &topology;
    request.costs = &costs;
    request.zeros = &zeros;
    request.memory_limits = std::move(limits);
    request.pinned_device = std::move(pinned);
    return make_problem(graph, request);
  }
};

/// The cheapest of all assignments.
double exhaustive(const PlacementProblem& problem, Objective objective, Assignment* best_assignment = nullptr) {
  Scheduler scheduler(problem);
  Assignment assignment(problem.works.size(), 0);
  double best = std::numeric_limits<double>::infinity();
  const std::function<void(std::size_t)> choose = [&](std::size_t node) {
    if (node == assignment.size()) {
      const double cost = scheduler.evaluate(assignment).cost(objective);
      if (cost < best) {
        best = cost;
        if (best_assignment != nullptr) *best_assignment = assignment;
      }
      return;
    }
    for (int device = 0; device < problem.device_count(); ++device) {
      if (!problem.may(static_cast<int>(node), device)) continue;
      assignment[node] = device;
      choose(node + 1);
    }
  };
  choose(0);
  return best;
}

double cost_of(const PlacementProblem& problem, const Assignment& assignment,
               Objective objective = Objective::latency) {
  return Scheduler(problem).evaluate(assignment).cost(objective);
}

double cost_of(const PlacementProblem& problem, const std::string& policy, Objective objective = Objective::latency) {
  PolicyOptions options;
  options.objective = objective;
  options.seed = kSeed;
  return cost_of(problem, place(*find_policy(policy), problem, options), objective);
}

TEST(Policies, every_policy_makes_valid_plans_of_every_sample_on_every_example_topology) {
  for (const SampleNetwork& network : sample_networks(kSeed)) {
    for (const std::string& name : example_topologies()) {
      Setting setting{example_topology(name), CostModel(), {}};
      const PlacementProblem problem = setting.problem(*network.graph);
      for (const PolicyPtr& policy : built_in_policies()) {
        PolicyOptions options;
        options.seed = kSeed;
        const Assignment assignment = place(*policy, problem, options);
        EXPECT_EQ(place(*policy, problem, options), assignment) << policy->name() << " is not deterministic";
        const Plan plan = plan_of(problem, assignment);
        EXPECT_NO_THROW(validate_plan(plan, *network.graph)) << policy->name() << " on " << name;
        EXPECT_EQ(assignment_of(problem, plan), assignment);
        EXPECT_EQ(plan_to_json(plan_from_json(plan_to_json(plan, *network.graph), *network.graph), *network.graph),
                  plan_to_json(plan, *network.graph));
        EXPECT_GE(plan.predicted_s, plan.lower_bound_s * (1 - 1e-9));
        for (const PlannedMemory& memory : plan.memory) {
          EXPECT_LE(memory.weight_bytes + memory.activation_bytes, memory.limit_bytes) << policy->name();
        }
      }
    }
  }
}

TEST(Policies, heft_is_never_worse_than_round_robin_and_auto_never_than_any_other) {
  for (const SampleNetwork& network : sample_networks(kSeed)) {
    for (const std::string& name : example_topologies()) {
      Setting setting{example_topology(name), CostModel(), {}};
      const PlacementProblem problem = setting.problem(*network.graph);
      EXPECT_LE(cost_of(problem, "heft"), cost_of(problem, "round-robin")) << network.name << " on " << name;
      for (const Objective objective : {Objective::latency, Objective::throughput, Objective::memory}) {
        if (objective != Objective::latency && name != "two_emulated") continue;  // they take long on many devices
        const double automatic = cost_of(problem, "auto", objective);
        for (const PolicyPtr& policy : built_in_policies()) {
          EXPECT_LE(automatic, 1.05 * cost_of(problem, policy->name(), objective))
              << network.name << " on " << name << ", " << policy->name() << ", " << objective_name(objective);
        }
      }
    }
  }
}

TEST(Policies, dp_finds_the_optimum_of_chains) {
  for (const std::string& name : {std::string("two_emulated"), std::string("workstation")}) {
    Setting setting{example_topology(name), CostModel(), {}};
    for (int layers = 1; layers <= 9; ++layers) {
      const SampleNetwork network = random_chain(kSeed + static_cast<std::uint64_t>(layers), layers);
      const PlacementProblem problem = setting.problem(*network.graph);
      for (const Objective objective : {Objective::latency, Objective::throughput}) {
        const double best = exhaustive(problem, objective);
        EXPECT_NEAR(cost_of(problem, "dp", objective), best, 1e-9 * best)
            << layers << " layers on " << name << " for " << objective_name(objective) << ", seed " << kSeed;
      }
    }
  }
}

TEST(Policies, dp_finds_the_optimum_of_a_chain_of_twelve_on_three_devices) {
  Setting setting{example_topology("two_emulated"), CostModel(), {}};
  const SampleNetwork network = random_chain(kSeed, 12);
  const PlacementProblem problem = setting.problem(*network.graph);
  ASSERT_EQ(problem.device_count(), 3);
  const double best = exhaustive(problem, Objective::latency);
  EXPECT_NEAR(cost_of(problem, "dp"), best, 1e-9 * best) << "seed " << kSeed;
}

TEST(Policies, local_search_is_never_worse_than_its_start) {
  for (const SampleNetwork& network : sample_networks(kSeed)) {
    Setting setting{example_topology("two_emulated"), CostModel(), {}};
    const PlacementProblem problem = setting.problem(*network.graph);
    for (const char* start : {"cpu", "gpu", "random", "round-robin", "heft"}) {
      for (const int evaluations : {0, 1, 50, 500}) {
        PolicyOptions options;
        options.seed = kSeed;
        const Assignment first = place(*find_policy(start), problem, options);
        const Assignment improved = improve_locally(problem, first, Objective::latency, kSeed, evaluations);
        EXPECT_LE(cost_of(problem, improved), cost_of(problem, first)) << network.name << " from " << start;
      }
    }
  }
}

bool mixed(const Assignment& assignment) {
  return std::any_of(assignment.begin(), assignment.end(), [&](int d) { return d != assignment.front(); });
}

/// A network and a topology on which the best placement uses both devices.
struct Pair {
  friend void PrintTo(const Pair& pair, std::ostream* stream) { *stream << pair.name << " on " << pair.topology; }

  const char* name;
  SampleNetwork (*network)(std::uint64_t seed);
  const char* topology;
  std::map<std::string, std::uint64_t> limits;
};

class MixedPlacement : public testing::TestWithParam<Pair> {};

TEST_P(MixedPlacement, is_optimal_and_found_by_auto_and_density) {
  const auto& [name, make, topology, limits] = GetParam();
  Setting setting{example_topology(topology), CostModel(), {}};
  const SampleNetwork network = make(kSeed);
  const PlacementProblem problem = setting.problem(*network.graph, limits);
  Assignment best;
  const double least = exhaustive(problem, Objective::latency, &best);
  ASSERT_TRUE(mixed(best));
  EXPECT_LT(least, 0.9 * cost_of(problem, "cpu"));
  const Assignment on_gpu(problem.works.size(), 1);  // does not fit, or is slower
  EXPECT_LT(least, 0.9 * cost_of(problem, on_gpu));
  EXPECT_LE(cost_of(problem, "auto"), least * 1.05);
  // Where memory is short, a rule of thumb that is then repaired stays further behind.
  EXPECT_LE(cost_of(problem, "density"), least * (cost_of(problem, on_gpu) > 1 ? 1.25 : 1.05));
  for (const char* policy : {"auto", "density"}) {
    const Assignment chosen = place(*find_policy(policy), problem, {});
    EXPECT_TRUE(mixed(chosen)) << policy;
    for (int node = 0; node < problem.node_count(); ++node) {
      const NodeWork& work = problem.works[static_cast<std::size_t>(node)];
      if (problem.is_gpu(chosen[static_cast<std::size_t>(node)])) {
        EXPECT_LT(work.zeros, 0.95) << policy << ", node " << node;
      } else if (std::string(name) == "dense_beside_sparse") {
        EXPECT_NE(work.layer, LayerClass::convolution) << policy << ", node " << node;
      }
    }
  }
}

const Pair kPairs[] = {
    {"dense_beside_sparse", dense_beside_sparse, "workstation", {}},
    {"dense_beside_sparse", dense_beside_sparse, "this_machine_and_gpu", {}},
    {"large_embedding", large_embedding, "small_accelerator", {{"gpu:0", std::uint64_t{32} << 20}}},
    {"large_embedding", large_embedding, "this_machine_and_small_gpu", {}},
    {"more_weights_than_memory", more_weights_than_memory, "small_accelerator", {}},
    {"more_weights_than_memory", more_weights_than_memory, "this_machine_and_small_gpu", {}},
};

INSTANTIATE_TEST_SUITE_P(Pairs, MixedPlacement, testing::ValuesIn(kPairs), [](const auto& tested) {
  return std::string(tested.param.name) + "_on_" + tested.param.topology;
});

TEST(OneDevice, is_taken_where_everything_is_dense_or_tiny) {
  Setting setting{example_topology("workstation"), CostModel(), {}};
  const SampleNetwork dense_network = everything_dense(kSeed);
  const SampleNetwork tiny_network = everything_tiny(kSeed);
  const PlacementProblem dense = setting.problem(*dense_network.graph);
  const Assignment on_gpu = place(*find_policy("auto"), dense, {});
  EXPECT_FALSE(mixed(on_gpu));
  EXPECT_TRUE(dense.is_gpu(on_gpu.front()));
  const PlacementProblem tiny = setting.problem(*tiny_network.graph);
  const Assignment on_cpu = place(*find_policy("auto"), tiny, {});
  EXPECT_FALSE(mixed(on_cpu));
  EXPECT_FALSE(tiny.is_gpu(on_cpu.front()));
}

TEST(Policies, pins_hold_under_every_policy) {
  Setting setting{example_topology("two_emulated"), CostModel(), {}};
  const SampleNetwork network = two_branches(kSeed);
  std::vector<int> pins(network.graph->nodes().size(), -1);
  pins[1] = 2;
  pins[4] = 0;
  const PlacementProblem problem = setting.problem(*network.graph, {}, pins);
  for (const PolicyPtr& policy : built_in_policies()) {
    const Assignment assignment = place(*policy, problem, {});
    EXPECT_EQ(assignment[1], 2) << policy->name();
    EXPECT_EQ(assignment[4], 0) << policy->name();
  }
}

TEST(Policies, a_model_that_fits_nowhere_is_a_limit_error) {
  Setting setting{example_topology("two_emulated"), CostModel(), {}};
  const SampleNetwork network = two_branches(kSeed);
  const PlacementProblem problem =
      setting.problem(*network.graph, {{"cpu", 1000}, {"emulated:0", 1000}, {"emulated:1", 1000}});
  for (const PolicyPtr& policy : built_in_policies()) {
    try {
      place(*policy, problem, {});
      ADD_FAILURE() << policy->name() << " placed it";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::limit) << policy->name() << ": " << error.what();
    }
  }
}

TEST(Policies, empty_graphs_are_placed) {
  GraphBuilder builder("empty");
  builder.add_output(builder.add_input("x", Type::tensor(DType::f32, Shape{2})));
  const Graph graph = std::move(builder).build();
  Setting setting{example_topology("two_emulated"), CostModel(), {}};
  const PlacementProblem problem = setting.problem(graph);
  for (const PolicyPtr& policy : built_in_policies()) {
    const Plan plan = plan_of(problem, place(*policy, problem, {}));
    EXPECT_TRUE(plan.partitions.empty()) << policy->name();
    EXPECT_NO_THROW(validate_plan(plan, graph));
  }
}

std::string refusal(const std::string& policy) {
  try {
    parse_policy(policy);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "accepted";
}

TEST(Policies, names_and_parameters_are_checked) {
  EXPECT_THAT(refusal("nonsense"), testing::HasSubstr("no such policy"));
  EXPECT_THAT(refusal("density:zerros=1"), testing::HasSubstr("no parameter 'zerros'"));
  EXPECT_THAT(refusal("density:zeros"), testing::HasSubstr("key=value"));
  EXPECT_THAT(refusal("./no-such-library.so"), testing::HasSubstr("cannot be opened"));
  EXPECT_EQ(parse_policy("density:zeros=0.5,intensity=2").parameters.at("zeros"), "0.5");
  Setting setting{example_topology("workstation"), CostModel(), {}};
  const SampleNetwork network = everything_tiny(kSeed);
  PolicyOptions options;
  options.parameters["zeros"] = "many";
  EXPECT_THROW(place(*find_policy("density"), setting.problem(*network.graph), options), Error);
}

/// A policy that answers what it is told to.
class WrongPolicy final : public Policy {
 public:
  explicit WrongPolicy(Assignment answer) : answer_(std::move(answer)) {}
  std::string name() const override { return "wrong"; }
  std::string purpose() const override { return "to be refused"; }
  Assignment assign(const PlacementProblem&, const PolicyOptions&) const override { return answer_; }

 private:
  Assignment answer_;
};

TEST(Policies, garbage_from_a_policy_is_refused) {
  Setting setting{example_topology("workstation"), CostModel(), {}};
  const SampleNetwork network = everything_tiny(kSeed);
  const PlacementProblem problem = setting.problem(*network.graph);
  const std::size_t nodes = network.graph->nodes().size();
  EXPECT_THROW(place(WrongPolicy({}), problem, {}), Error);
  EXPECT_THROW(place(WrongPolicy(Assignment(nodes, 2)), problem, {}), Error);
  EXPECT_THROW(place(WrongPolicy(Assignment(nodes, -1)), problem, {}), Error);
  EXPECT_NO_THROW(place(WrongPolicy(Assignment(nodes, 1)), problem, {}));
}

}  // namespace
}  // namespace sparse_run
