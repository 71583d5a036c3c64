// Copies and computing of different requests go on side by side.
#include <gtest/gtest.h>

#include <thread>

#include "base/clock.hpp"
#include "graph/passes/sketch.hpp"
#include "tests/device/trial.hpp"

namespace sparse_run {
namespace {

/// Relu on emulated:0, then Relu on emulated:1: one layer, one copy in and one copy out on each.
std::shared_ptr<const Graph> two_steps() {
  GraphSketch sketch;
  const ValueId x = sketch.input("x", {1, 64 * 1024});
  return std::make_shared<const Graph>(sketch.build(sketch.op("Sigmoid", {sketch.op("Relu", {x})})));
}

Plan one_node_each(const Graph& graph) {
  Plan plan;
  plan.policy = "pipeline";
  for (NodeId id = 0; id < graph.nodes().size(); ++id) {
    PlannedPartition partition;
    partition.device = id == 0 ? "emulated:0" : "emulated:1";
    partition.nodes = {id};
    plan.partitions.push_back(std::move(partition));
  }
  connect_partitions(plan, graph);
  return plan;
}

// Nothing is asserted about time itself: the events of the streams say what overlapped.
TEST(Overlap, a_stream_copies_while_another_computes) {
  gpu::EmulatedGpuOptions options;
  options.launch_s = 2e-3;
  options.copy_latency_s = 2e-3;
  const TrialDevices devices(2, options);
  const auto session = trial_session(two_steps(), devices, one_node_each);
  std::mt19937_64 random(2);
  const std::vector<std::vector<Value>> inputs{random_inputs(*session, random)};
  const std::vector<std::vector<Value>> expected{session->run(inputs[0])};
  Trace trace;
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      RunOptions run_options;
      run_options.trace = &trace;
      for (int i = 0; i < 5; ++i) EXPECT_EQ(divergence(session->run(inputs[0], run_options), expected[0]), 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::size_t overlaps = 0;
  const auto events = trace.events();
  for (const Trace::Event& copy : events) {
    if (copy.track != "emulated:1 copy in") continue;
    for (const Trace::Event& work : events) {
      if (work.category != "partition" || work.track != "emulated:1 compute") continue;
      if (copy.begin_ns < work.end_ns && work.begin_ns < copy.end_ns) ++overlaps;
    }
  }
  EXPECT_GT(overlaps, 0u);
}

}  // namespace
}  // namespace sparse_run
