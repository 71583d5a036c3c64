// Any valid plan over the CPU and two emulated GPUs gives what the CPU alone gives, and leaves nothing behind.
#include <gtest/gtest.h>

#include "tests/device/random_network.hpp"
#include "tests/device/random_plan.hpp"
#include "tests/device/trial.hpp"

namespace sparse_run {
namespace {

TEST(RandomPlans, agree_with_the_cpu_with_several_requests_in_flight) {
  constexpr std::uint64_t kSeed = 20240611;
  std::mt19937_64 random(kSeed);
  std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  const TrialDevices devices(2);
  for (int trial = 0; trial < 40; ++trial) {
    SCOPED_TRACE(trial);
    const auto network = random_network(random, 4 + trial);
    auto alone = trial_session(network, devices, all_on("cpu"));
    std::vector<std::vector<Value>> inputs;
    std::vector<std::vector<Value>> expected;
    for (int i = 0; i < 3; ++i) {
      inputs.push_back(random_inputs(*alone, random));
      expected.push_back(alone->run(inputs.back()));
    }
    auto session = trial_session(network, devices,
                                 [&](const Graph& graph) { return random_plan(graph, devices.all(), random, 12); });
    EXPECT_LE(run_side_by_side(*session, inputs, expected, 3, 2), 1e-5);
    session.reset();
    EXPECT_EQ(devices.used_bytes(), 0u);
  }
}

TEST(RandomPlans, work_with_one_thread) {
  std::mt19937_64 random(7);
  const TrialDevices devices(2);
  const auto network = random_network(random, 20);
  auto alone = trial_session(network, devices, all_on("cpu"), 1);
  const std::vector<std::vector<Value>> inputs{random_inputs(*alone, random)};
  const std::vector<std::vector<Value>> expected{alone->run(inputs[0])};
  for (int trial = 0; trial < 10; ++trial) {
    auto session = trial_session(
        network, devices, [&](const Graph& graph) { return random_plan(graph, devices.all(), random, 8); }, 1);
    EXPECT_LE(run_side_by_side(*session, inputs, expected, 4, 8), 1e-5);
  }
}

TEST(RandomPlans, values_that_cross_three_memories_arrive_once_in_each) {
  std::mt19937_64 random(11);
  const TrialDevices devices(2);
  const auto network = random_network(random, 12);
  auto alone = trial_session(network, devices, all_on("cpu"));
  const auto inputs = random_inputs(*alone, random);
  const auto expected = alone->run(inputs);
  // Every node on the next device in turn: the most copies a plan can have.
  auto session = trial_session(network, devices, [&](const Graph& graph) {
    Plan plan;
    plan.policy = "in turn";
    for (NodeId id = 0; id < graph.nodes().size(); ++id) {
      PlannedPartition partition;
      partition.device = devices.all()[id % 3]->name();
      partition.nodes = {id};
      plan.partitions.push_back(std::move(partition));
    }
    connect_partitions(plan, graph);
    return plan;
  });
  EXPECT_LE(divergence(session->run(inputs), expected), 1e-5);
}

}  // namespace
}  // namespace sparse_run
