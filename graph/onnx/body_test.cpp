// Tests of bodies: names from enclosing graphs, captures through several levels, constants shared into bodies.
#include <gtest/gtest.h>

#include "graph/onnx/model_fixture.hpp"

namespace sparse_run {
namespace {

using namespace onnx_fixture;
using Proto = onnx_wire::AttributeProto;

onnx_wire::GraphProto& add_body(onnx_wire::NodeProto& node, const std::string& attribute) {
  auto& graph = *add_attribute(node, attribute, Proto::GRAPH).mutable_g();
  graph.set_name(attribute);
  return graph;
}

void add_body_output(onnx_wire::GraphProto& body, const std::string& name) { body.add_output()->set_name(name); }

// y = If(condition) then Neg(sum) else Abs(sum) with sum of small_model().
Wire model_with_if() {
  Wire wire = small_model();
  auto& graph = *wire.mutable_graph();
  set_tensor_type(*graph.add_input(), "condition", {}, DType::boolean);
  graph.mutable_node()->RemoveLast();
  auto& node = add_node(*graph.mutable_node(), "If", {"condition"}, {"y"}, "choice");
  auto& yes = add_body(node, "then_branch");
  add_node(*yes.mutable_node(), "Neg", {"sum"}, {"negative"});
  add_body_output(yes, "negative");
  auto& no = add_body(node, "else_branch");
  add_node(*no.mutable_node(), "Abs", {"sum"}, {"positive"});
  add_body_output(no, "positive");
  return wire;
}

TEST(import_bodies, outer_values_are_captured_once_per_body) {
  const Model model = import(model_with_if());
  const Node& choice = model.graph->node(1);
  ASSERT_EQ(choice.captures.size(), 2u);
  const ValueId sum = model.graph->node(0).outputs[0];
  for (const char* branch : {"then_branch", "else_branch"}) {
    const auto outer = captures_of(choice, branch);
    ASSERT_EQ(outer.size(), 1u) << branch;
    EXPECT_EQ(outer[0], sum);
    const Graph& body = *choice.get<GraphPtr>(branch);
    ASSERT_EQ(body.captures().size(), 1u);
    EXPECT_EQ(body.node(0).inputs[0], body.captures()[0]);
    EXPECT_EQ(body.value(body.captures()[0]).name, "sum");
  }
}

TEST(import_bodies, a_value_used_twice_in_a_body_is_captured_once) {
  Wire wire = model_with_if();
  auto& body = *wire.mutable_graph()->mutable_node(1)->mutable_attribute(0)->mutable_g();
  body.mutable_node(0)->set_op_type("Mul");
  body.mutable_node(0)->add_input("sum");
  const Model model = import(wire);
  EXPECT_EQ(model.graph->node(1).captures.size(), 2u);
}

TEST(import_bodies, outer_constants_are_shared_into_bodies) {
  Wire wire = model_with_if();
  wire.mutable_graph()->mutable_node(1)->mutable_attribute(0)->mutable_g()->mutable_node(0)->set_input(0, "w");
  const Model model = import(wire);
  const Node& choice = model.graph->node(1);
  EXPECT_EQ(captures_of(choice, "then_branch").size(), 0u);
  const Graph& body = *choice.get<GraphPtr>("then_branch");
  const Tensor* inner = body.value(body.node(0).inputs[0]).tensor();
  const Tensor* outer = model.graph->value(model.graph->node(0).inputs[1]).tensor();
  ASSERT_NE(inner, nullptr);
  EXPECT_EQ(inner->raw(), outer->raw()) << "the bytes must be shared, not copied";
}

TEST(import_bodies, captures_pass_through_every_level) {
  Wire wire = model_with_if();
  auto& outer_body = *wire.mutable_graph()->mutable_node(1)->mutable_attribute(0)->mutable_g();
  outer_body.clear_node();
  auto& inner_if = add_node(*outer_body.mutable_node(), "If", {"condition"}, {"negative"}, "inner");
  for (const char* branch : {"then_branch", "else_branch"}) {
    auto& inner = add_body(inner_if, branch);
    const std::string name = std::string("deep_") + branch;
    add_node(*inner.mutable_node(), "Neg", {"sum"}, {name});
    add_body_output(inner, name);
  }
  const Model model = import(wire);
  const Node& choice = model.graph->node(1);
  const auto outer = captures_of(choice, "then_branch");
  const Graph& middle = *choice.get<GraphPtr>("then_branch");
  ASSERT_EQ(outer.size(), 2u);  // condition and sum
  const Node& inner = middle.node(0);
  EXPECT_EQ(inner.inputs[0], middle.captures()[0]);
  EXPECT_EQ(captures_of(inner, "then_branch")[0], middle.captures()[1]);
  EXPECT_EQ(captures_of(inner, "else_branch")[0], middle.captures()[1]);
  EXPECT_EQ(outer[1], model.graph->node(0).outputs[0]);
}

TEST(import_bodies, loop_bodies_have_inputs_and_carry_types) {
  Wire wire = small_model();
  auto& graph = *wire.mutable_graph();
  set_raw<std::int64_t>(*graph.add_initializer(), {}, {3}, "trips");
  graph.mutable_node()->RemoveLast();
  auto& loop = add_node(*graph.mutable_node(), "Loop", {"trips", "", "sum"}, {"y"}, "loop");
  auto& body = add_body(loop, "body");
  set_tensor_type(*body.add_input(), "i", {}, DType::i64);
  set_tensor_type(*body.add_input(), "again", {}, DType::boolean);
  body.add_input()->set_name("carried");  // bodies may leave types out
  add_node(*body.mutable_node(), "Identity", {"again"}, {"again_out"});
  add_node(*body.mutable_node(), "Add", {"carried", "x"}, {"next"});
  add_body_output(body, "again_out");
  add_body_output(body, "next");
  const Model model = import(wire);
  const Graph& imported = *model.graph->node(1).get<GraphPtr>("body");
  ASSERT_EQ(imported.inputs().size(), 3u);
  EXPECT_EQ(imported.value(imported.inputs()[0]).type.dtype, DType::i64);
  ASSERT_EQ(imported.captures().size(), 1u);
  EXPECT_EQ(model.graph->node(1).captures[0], model.graph->inputs()[0]);
}

TEST(import_bodies, a_body_may_use_values_computed_later_in_the_file) {
  Wire wire = model_with_if();
  wire.mutable_graph()->mutable_node()->SwapElements(0, 1);
  const Model model = import(wire);
  EXPECT_EQ(model.graph->node(0).op, "Add");
  EXPECT_EQ(model.graph->node(1).op, "If");
}

TEST(import_bodies, a_cycle_through_a_body_is_refused) {
  Wire wire = model_with_if();
  wire.mutable_graph()->mutable_node(1)->mutable_attribute(0)->mutable_g()->mutable_node(0)->set_input(0, "y");
  expect_refused(wire, ErrorKind::model, {"choice", "cycle"});
}

TEST(import_bodies, shadowing_an_outer_name_is_refused) {
  Wire wire = model_with_if();
  auto& body = *wire.mutable_graph()->mutable_node(1)->mutable_attribute(0)->mutable_g();
  add_node(*body.mutable_node(), "Abs", {"negative"}, {"sum"});
  expect_refused(wire, ErrorKind::model, {"choice", "then_branch", "'sum'", "enclosing"});
}

TEST(import_bodies, names_of_sibling_bodies_are_independent) {
  Wire wire = model_with_if();
  auto& no = *wire.mutable_graph()->mutable_node(1)->mutable_attribute(1)->mutable_g();
  no.mutable_node(0)->set_output(0, "negative");
  no.mutable_output(0)->set_name("negative");
  EXPECT_EQ(import(wire).graph->nodes().size(), 2u);
}

TEST(import_bodies, names_of_a_body_are_not_visible_outside) {
  Wire wire = model_with_if();
  add_node(*wire.mutable_graph()->mutable_node(), "Relu", {"negative"}, {"z"}, "outside");
  expect_refused(wire, ErrorKind::model, {"outside", "'negative'", "nothing computes"});
}

TEST(import_bodies, an_initializer_of_a_body_input_is_refused) {
  Wire wire = model_with_if();
  auto& body = *wire.mutable_graph()->mutable_node(1)->mutable_attribute(0)->mutable_g();
  set_raw<float>(*body.add_initializer(), {1}, {1}, "p");
  set_tensor_type(*body.add_input(), "p", {1});
  expect_refused(wire, ErrorKind::model, {"then_branch", "'p'", "initializer"});
}

TEST(import_bodies, deep_nesting_is_refused_without_recursion_running_away) {
  Wire wire = model_with_if();
  auto* graph = wire.mutable_graph();
  const ImportLimits limits;
  for (std::size_t level = 0; level <= limits.nesting; ++level) {
    const std::string name = fmt::format("deep{}", level);
    auto& node = add_node(*graph->mutable_node(), "If", {"condition"}, {name});
    graph = &add_body(node, "then_branch");
    graph->add_output()->set_name("x");
  }
  expect_refused(wire, ErrorKind::limit, {"nested deeper", "64"});
}

}  // namespace
}  // namespace sparse_run
