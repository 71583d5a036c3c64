// Values that cross devices are compared with what the other device makes of the same operands.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/passes/sketch.hpp"
#include "tests/device/random_network.hpp"
#include "tests/device/random_plan.hpp"
#include "tests/device/trial.hpp"

namespace sparse_run {
namespace {

struct Seen {
  Cut cut;
  double divergence = 0;
};

std::vector<Seen> cuts_of(Session& session, std::span<const Value> inputs, std::vector<Value>* outputs = nullptr) {
  std::vector<Seen> seen;
  const CutVisitor visit = [&](const Cut& cut, const Value& planned, const Value& other) {
    seen.push_back({cut, other.absent() ? -1 : divergence(std::vector<Value>{other}, std::vector<Value>{planned})});
  };
  RunOptions options;
  options.cuts = &visit;
  auto results = session.run(inputs, options);
  if (outputs != nullptr) *outputs = std::move(results);
  return seen;
}

/// relu on `first`, exp on `second`.
Planner split_between(std::string first, std::string second) {
  return [=](const Graph& graph) {
    Plan plan;
    plan.policy = "split";
    for (NodeId id = 0; id < graph.nodes().size(); ++id) {
      PlannedPartition partition;
      partition.device = id == 0 ? first : second;
      partition.nodes = {id};
      plan.partitions.push_back(std::move(partition));
    }
    connect_partitions(plan, graph);
    return plan;
  };
}

std::shared_ptr<const Graph> two_steps() {
  GraphSketch sketch;
  const ValueId x = sketch.input("x", {2, 7});
  return std::make_shared<const Graph>(sketch.build(sketch.op("Exp", {sketch.op("Relu", {x})})));
}

TEST(CutCheck, equal_arithmetic_does_not_diverge) {
  std::mt19937_64 random(21);
  std::printf("seed 21\n");
  const TrialDevices devices(2);
  const auto network = random_network(random, 20);
  const auto session =
      trial_session(network, devices, [&](const Graph& graph) { return random_plan(graph, devices.all(), random, 8); });
  const auto inputs = random_inputs(*session, random);
  const auto expected = session->run(inputs);
  std::vector<Value> outputs;
  const auto seen = cuts_of(*session, inputs, &outputs);
  EXPECT_LE(divergence(outputs, expected), 1e-5);
  std::size_t crossing = 0;
  const auto report = session->prepare(types_of(inputs));
  for (const PlannedEdge& edge : report->plan.edges) {
    if (edge.from < 0) continue;
    const auto device = [&](int p) { return report->plan.partitions[static_cast<std::size_t>(p)].device; };
    if (device(edge.from) != device(edge.to)) ++crossing;
  }
  EXPECT_EQ(seen.size(), crossing);
  EXPECT_GT(crossing, 0u);
  for (const Seen& one : seen) EXPECT_LE(one.divergence, 1e-5) << one.cut.value;
}

TEST(CutCheck, a_less_precise_device_shows) {
  gpu::EmulatedGpuOptions options;
  options.relative_error = 0.01;
  const TrialDevices devices(1, options);
  const auto session = trial_session(two_steps(), devices, split_between("cpu", "emulated:0"));
  const std::vector<Value> inputs{Tensor::of<float>({2, 7}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})};
  const auto seen = cuts_of(*session, inputs);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].cut.from_device, "cpu");
  EXPECT_EQ(seen[0].cut.to_device, "emulated:0");
  EXPECT_EQ(seen[0].cut.bytes, 56u);
  EXPECT_NEAR(seen[0].divergence, 0.01 * 13 / 14, 1e-4);  // of the 13 at an even position
}

TEST(CutCheck, a_plan_without_cuts_shows_none) {
  const TrialDevices devices(1);
  const auto session = trial_session(two_steps(), devices, all_on("cpu"));
  const std::vector<Value> inputs{Tensor::of<float>({2, 7}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})};
  EXPECT_TRUE(cuts_of(*session, inputs).empty());
}

TEST(CutCheck, what_the_other_device_refuses_is_skipped_with_the_reason) {
  GraphSketch sketch;
  const ValueId words = sketch.input("words", {3}, DType::string);
  const ValueId same = sketch.op("Equal", {words, sketch.constant(Tensor::of<std::string>({1}, {"b"}))});
  const ValueId x = sketch.op("Cast", {same}, {{"to", std::int64_t{1}}});
  const auto graph = std::make_shared<const Graph>(sketch.build(sketch.op("Exp", {x})));
  const TrialDevices devices(1);
  const auto session = trial_session(graph, devices, [](const Graph& resolved) {
    Plan plan;
    plan.policy = "split";
    plan.partitions.resize(2);
    for (NodeId id = 0; id < resolved.nodes().size(); ++id) {
      plan.partitions[resolved.node(id).op == "Exp" ? 1 : 0].nodes.push_back(id);
    }
    plan.partitions[0].device = "cpu";
    plan.partitions[1].device = "emulated:0";
    connect_partitions(plan, resolved);
    return plan;
  });
  const std::vector<Value> inputs{Tensor::of<std::string>({3}, {"a", "b", "c"})};
  const auto seen = cuts_of(*session, inputs);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_THAT(seen[0].cut.skipped, testing::HasSubstr("strings"));
  EXPECT_EQ(seen[0].divergence, -1);
}

TEST(Plans, with_devices_that_are_not_there_or_refuse_a_node_are_usage_errors) {
  const TrialDevices devices(1);
  const auto kind_of = [&](const std::shared_ptr<const Graph>& graph, const Planner& planner,
                           std::span<const Value> inputs) {
    try {
      trial_session(graph, devices, planner)->run(inputs);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::internal;
  };
  const std::vector<Value> numbers{Tensor::of<float>({2, 7}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})};
  EXPECT_EQ(kind_of(two_steps(), all_on("emulated:7"), numbers), ErrorKind::usage);
  GraphSketch sketch;
  const ValueId words = sketch.input("words", {1}, DType::string);
  const auto graph = std::make_shared<const Graph>(sketch.build(sketch.op("StringNormalizer", {words})));
  const std::vector<Value> word{Tensor::of<std::string>({1}, {"a"})};
  EXPECT_EQ(kind_of(graph, all_on("emulated:0"), word), ErrorKind::usage);
}

}  // namespace
}  // namespace sparse_run
