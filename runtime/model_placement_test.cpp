// Placements survive what passes do to a graph.
#include "runtime/model_placement.hpp"

#include <gtest/gtest.h>

#include "graph/passes/sketch.hpp"

namespace sparse_run {
namespace {

/// A device of a name that refuses one operator; it compiles nothing.
class NamedDevice final : public Device {
 public:
  NamedDevice(std::string name, std::string refused = "") : name_(std::move(name)), refused_(std::move(refused)) {}
  std::string name() const override { return name_; }
  std::string description() const override { return name_; }
  std::size_t memory_bytes() const override { return 0; }
  std::string refusal(const Graph&, const Node& node) const override {
    return node.op == refused_ ? "it has no " + refused_ : "";
  }
  std::unique_ptr<Executable> compile(const Partition&, const CompileOptions&) override { return nullptr; }

 private:
  std::string name_;
  std::string refused_;
};

/// x → Relu 'a' → Exp 'b' → Abs 'c' → Neg 'd' → y
Graph chain() {
  GraphBuilder builder("chain");
  ValueId value = builder.add_input("x", Type::tensor(DType::f32, Shape{2}));
  for (const auto& [name, op] :
       {std::pair("a", "Relu"), std::pair("b", "Exp"), std::pair("c", "Abs"), std::pair("d", "Neg")}) {
    Node node;
    node.name = name;
    node.op = op;
    node.opset = 17;
    node.inputs = {value};
    value = builder.add_value(std::string("after_") + name, Type::tensor(DType::f32, Shape{2}));
    node.outputs = {value};
    builder.add_node(std::move(node));
  }
  builder.add_output(value);
  return std::move(builder).build();
}

std::vector<std::string> devices_of(const std::vector<NamedPlacement::Place>& places) {
  std::vector<std::string> names;
  for (const auto& place : places) names.push_back(place.device);
  return names;
}

TEST(ModelPlacement, nodes_are_found_by_name_and_by_what_they_compute) {
  NamedPlacement placement;
  placement.nodes["a"] = {"cpu", 0};
  placement.values["after_c"] = {"gpu", 1};
  placement.nodes["d"] = {"cpu", 2};
  const auto places = places_in(chain(), placement, {"none", 0});
  EXPECT_EQ(devices_of(places), (std::vector<std::string>{"cpu", "gpu", "gpu", "cpu"}));  // 'b' goes with its reader
  EXPECT_EQ(places[2].stage, 1);
}

TEST(ModelPlacement, nodes_without_placed_readers_go_with_their_operands) {
  NamedPlacement placement;
  placement.nodes["a"] = {"gpu", 0};
  EXPECT_EQ(devices_of(places_in(chain(), placement, {"none", 0})), std::vector<std::string>(4, "gpu"));
  EXPECT_EQ(devices_of(places_in(chain(), {}, {"none", 0})), std::vector<std::string>(4, "none"));
}

TEST(ModelPlacement, a_plan_and_back_is_the_same_plan) {
  const Graph graph = chain();
  Plan plan;
  plan.policy = "by hand";
  plan.partitions.resize(3);
  plan.partitions[0].device = plan.partitions[2].device = "cpu";
  plan.partitions[1].device = "gpu";
  plan.partitions[0].nodes = {0};
  plan.partitions[1].nodes = {1, 2};
  plan.partitions[2].nodes = {3};
  connect_partitions(plan, graph);
  const std::vector<std::shared_ptr<Device>> devices{std::make_shared<NamedDevice>("cpu"),
                                                     std::make_shared<NamedDevice>("gpu")};
  const Plan followed = follow_placement(graph, placement_of(plan, graph), devices, "hash");
  EXPECT_NO_THROW(validate_plan(followed, graph));
  EXPECT_EQ(followed.model_hash, "hash");
  ASSERT_EQ(followed.partitions.size(), 3u);
  for (std::size_t p = 0; p < 3; ++p) {
    EXPECT_EQ(followed.partitions[p].device, plan.partitions[p].device);
    EXPECT_EQ(followed.partitions[p].nodes, plan.partitions[p].nodes);
  }
}

TEST(ModelPlacement, what_a_device_refuses_stays_at_home_with_the_reason) {
  const Graph graph = chain();
  NamedPlacement placement;
  for (const char* name : {"a", "b", "c", "d"}) placement.nodes[name] = {"gpu", 0};
  const std::vector<std::shared_ptr<Device>> devices{std::make_shared<NamedDevice>("cpu"),
                                                     std::make_shared<NamedDevice>("gpu", "Exp")};
  const Plan plan = follow_placement(graph, placement, devices, "");
  EXPECT_NO_THROW(validate_plan(plan, graph));
  ASSERT_EQ(plan.partitions.size(), 3u);
  EXPECT_EQ(plan.partitions[1].device, "cpu");
  EXPECT_NE(plan.partitions[1].reason.find("it has no Exp"), std::string::npos);
}

}  // namespace
}  // namespace sparse_run
