// Edges, validation and formats of plans.
#include "partitioner/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace sparse_run {
namespace {

using testing::HasSubstr;

/// x → a → b → c, and c also reads a and a constant.
Graph chain() {
  GraphBuilder builder("chain");
  const Type type = Type::tensor(DType::f32, Shape{2, 3});
  const ValueId x = builder.add_input("x", type);
  const ValueId k = builder.add_constant("k", Tensor::of<float>({3}, {1, 2, 3}));
  const ValueId a = builder.add_value("a", type);
  const ValueId b = builder.add_value("b", type);
  const ValueId c = builder.add_value("c", type);
  const auto node = [&](const char* name, const char* op, std::vector<ValueId> inputs, ValueId output) {
    Node made;
    made.name = name;
    made.op = op;
    made.opset = 13;
    made.inputs = std::move(inputs);
    made.outputs = {output};
    builder.add_node(std::move(made));
  };
  node("first", "Add", {x, k}, a);
  node("second", "Relu", {a}, b);
  node("third", "Add", {a, b}, c);
  builder.add_output(c);
  return std::move(builder).build();
}

Plan split_plan(const Graph& graph) {
  Plan plan;
  plan.policy = "by hand";
  plan.model_hash = "abc";
  plan.partitions = {{"cpu", 0, {0, 1}, "test"}, {"emulated", 0, {2}, "test"}};
  connect_partitions(plan, graph);
  return plan;
}

std::string refusal(const Plan& plan, const Graph& graph) {
  try {
    validate_plan(plan, graph);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "accepted";
}

TEST(Plan, single_device_plan_holds_every_node_and_is_valid) {
  const Graph graph = chain();
  const Plan plan = single_device_plan(graph, "cpu", "h");
  ASSERT_EQ(plan.partitions.size(), 1u);
  EXPECT_EQ(plan.partitions[0].nodes, (std::vector<NodeId>{0, 1, 2}));
  ASSERT_EQ(plan.edges.size(), 1u);
  EXPECT_EQ(graph.value(plan.edges[0].value).name, "x");
  EXPECT_EQ(plan.edges[0].from, -1);
  EXPECT_EQ(plan.edges[0].bytes, 24u);
  EXPECT_NO_THROW(validate_plan(plan, graph));
}

TEST(Plan, edges_are_values_that_cross_partitions_without_constants) {
  const Graph graph = chain();
  const Plan plan = split_plan(graph);
  ASSERT_EQ(plan.edges.size(), 3u);
  EXPECT_EQ(plan.edges[0].from, -1);
  EXPECT_EQ(plan.edges[0].to, 0);
  for (int i : {1, 2}) {
    EXPECT_EQ(plan.edges[i].from, 0);
    EXPECT_EQ(plan.edges[i].to, 1);
  }
  EXPECT_NO_THROW(validate_plan(plan, graph));
}

TEST(Plan, a_node_placed_twice_or_nowhere_is_refused) {
  const Graph graph = chain();
  Plan twice = split_plan(graph);
  twice.partitions[1].nodes = {1, 2};
  EXPECT_THAT(refusal(twice, graph), HasSubstr("'second'"));
  Plan missing = split_plan(graph);
  missing.partitions.pop_back();
  EXPECT_THAT(refusal(missing, graph), HasSubstr("'third'"));
  Plan unknown = split_plan(graph);
  unknown.partitions[1].nodes = {2, 7};
  EXPECT_THAT(refusal(unknown, graph), HasSubstr("node 7"));
}

TEST(Plan, reading_from_a_later_partition_is_refused) {
  const Graph graph = chain();
  Plan plan = split_plan(graph);
  std::swap(plan.partitions[0], plan.partitions[1]);
  connect_partitions(plan, graph);
  EXPECT_THAT(refusal(plan, graph), HasSubstr("before"));
}

TEST(Plan, wrong_edges_are_refused) {
  const Graph graph = chain();
  Plan plan = split_plan(graph);
  plan.edges.pop_back();
  EXPECT_THAT(refusal(plan, graph), HasSubstr("edges"));
  plan = split_plan(graph);
  plan.edges[0].bytes = 1;
  EXPECT_THAT(refusal(plan, graph), HasSubstr("edges"));
}

TEST(Plan, json_names_nodes_and_carries_the_schema_version) {
  const Graph graph = chain();
  const auto json = nlohmann::json::parse(plan_to_json(split_plan(graph), graph));
  EXPECT_EQ(json.at("schema_version"), 1);
  EXPECT_EQ(json.at("policy"), "by hand");
  EXPECT_EQ(json.at("model_hash"), "abc");
  EXPECT_EQ(json.at("partitions").at(0).at("nodes"), (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(json.at("edges").at(0).at("value"), "x");
}

TEST(Plan, json_round_trip_keeps_everything) {
  const Graph graph = chain();
  Plan plan = split_plan(graph);
  plan.policy = "mine";
  plan.objective = "throughput";
  plan.seed = 7;
  plan.topology_hash = "t";
  plan.calibration_hash = "c";
  plan.predicted_s = 0.25;
  plan.bottleneck_s = 0.125;
  plan.lower_bound_s = 0.0625;
  plan.memory = {{"emulated", 1, 10, 20, 30}};
  PlannedPartition& last = plan.partitions[1];
  last.rank = 1;
  last.stage = 2;
  last.kernels = {"cpu.add"};
  last.pinned = {2};
  last.predicted_s = 0.5;
  last.confidence = 0.75;
  last.weight_bytes = 12;
  plan.edges[1].predicted_s = 0.03125;
  const std::string text = plan_to_json(plan, graph);
  const Plan read = plan_from_json(text, graph);
  EXPECT_EQ(plan_to_json(read, graph), text);
  EXPECT_EQ(read.partitions[1].kernels, last.kernels);
  EXPECT_EQ(read.partitions[1].pinned, last.pinned);
}

TEST(Plan, a_plan_written_by_hand_needs_partitions_only) {
  const Graph graph = chain();
  const Plan plan = plan_from_json(
      R"({"schema_version":1,"partitions":[{"device":"cpu","nodes":["first"]},{"device":"gpu:0","nodes":["second","third"]}]})",
      graph);
  EXPECT_EQ(plan.edges.size(), 2u);
  EXPECT_EQ(plan.partitions[1].device, "gpu:0");
}

std::string reading_refused(const std::string& text) {
  const Graph graph = chain();
  try {
    plan_from_json(text, graph);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(Plan, damaged_json_is_refused_and_the_place_named) {
  const std::string head = R"({"schema_version":1,"partitions":[)";
  EXPECT_THAT(reading_refused(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(reading_refused("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(reading_refused("{}"), HasSubstr("schema_version"));
  EXPECT_THAT(reading_refused(R"({"schema_version":9,"partitions":[]})"), HasSubstr("schema_version is 9"));
  EXPECT_THAT(reading_refused(R"({"schema_version":1})"), HasSubstr("partitions"));
  EXPECT_THAT(reading_refused(head + "3]}"), HasSubstr("plan.partitions[0]"));
  EXPECT_THAT(reading_refused(head + R"({"device":"cpu"}]})"), HasSubstr("plan.partitions[0].nodes"));
  EXPECT_THAT(reading_refused(head + R"({"device":"cpu","nodes":[1]}]})"), HasSubstr("name of a node"));
  EXPECT_THAT(reading_refused(head + R"({"device":"cpu","nodes":["zzz"]}]})"), HasSubstr("'zzz'"));
  EXPECT_THAT(reading_refused(head + R"({"device":"cpu","nodes":["first"]}]})"), HasSubstr("'second'"));
  const std::string whole = head + R"({"device":"cpu","nodes":["first","second","third"],)";
  EXPECT_THAT(reading_refused(whole + R"("rank":-1}]})"), HasSubstr("rank"));
  EXPECT_THAT(reading_refused(whole + R"("predicted_ms":-1}]})"), HasSubstr("predicted_ms"));
  EXPECT_THAT(reading_refused(whole + R"("kernels":{"zzz":"k"}}]})"), HasSubstr("'zzz'"));
  EXPECT_THAT(reading_refused(whole + R"("pinned":["first", 2]}]})"), HasSubstr("pinned"));
  EXPECT_THAT(reading_refused(whole + R"("rank":0}],"edges":[{"value":"x","from":-1,"to":5,"bytes":24}]})"),
              HasSubstr("plan.edges[0].to"));
  EXPECT_THAT(reading_refused(whole + R"("rank":0}],"edges":[]})"), HasSubstr("edges"));
  EXPECT_THAT(reading_refused(std::string(100000, '[')), HasSubstr("nested"));
}

TEST(Plan, stages_that_lead_backwards_are_refused) {
  const Graph graph = chain();
  Plan plan = split_plan(graph);
  plan.partitions[0].stage = 1;
  EXPECT_THAT(refusal(plan, graph), HasSubstr("later stage 1"));
}

TEST(Plan, dot_has_a_cluster_per_partition) {
  const Graph graph = chain();
  const std::string dot = plan_to_dot(split_plan(graph), graph);
  EXPECT_THAT(dot, HasSubstr("cluster_1"));
  EXPECT_THAT(dot, HasSubstr("outside -> n0 [label=\"f32[2x3]\"]"));
}

}  // namespace
}  // namespace sparse_run
