// Tests of inlining model-local functions.
#include <gtest/gtest.h>

#include "graph/onnx/model_fixture.hpp"

namespace sparse_run {
namespace {

using namespace onnx_fixture;
using Proto = onnx_wire::AttributeProto;
using testing::HasSubstr;

onnx_wire::FunctionProto& add_function(Wire& wire, const std::string& name, std::vector<std::string> inputs,
                                       std::vector<std::string> outputs, const std::string& domain = "local") {
  auto& function = *wire.add_functions();
  function.set_domain(domain);
  function.set_name(name);
  for (auto& input : inputs) function.add_input(std::move(input));
  for (auto& output : outputs) function.add_output(std::move(output));
  auto& opset = *function.add_opset_import();
  opset.set_domain("");
  opset.set_version(18);
  return function;
}

onnx_wire::NodeProto& add_call(google::protobuf::RepeatedPtrField<onnx_wire::NodeProto>& nodes, const std::string& name,
                               std::vector<std::string> inputs, std::vector<std::string> outputs,
                               const std::string& label = "") {
  auto& node = add_node(nodes, name, std::move(inputs), std::move(outputs), label);
  node.set_domain("local");
  return node;
}

// The Relu of small_model() replaced by a call of local.Scale(sum) = Elu(sum, alpha = @slope) with default slope 0.5.
Wire model_with_function() {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_node()->RemoveLast();
  add_call(*wire.mutable_graph()->mutable_node(), "Scale", {"sum"}, {"y"}, "call");
  auto& function = add_function(wire, "Scale", {"a"}, {"b"});
  auto& elu = add_node(*function.mutable_node(), "Elu", {"a"}, {"b"}, "elu");
  auto& alpha = add_attribute(elu, "alpha", Proto::FLOAT);
  alpha.set_ref_attr_name("slope");
  auto& fallback = *function.add_attribute_proto();
  fallback.set_name("slope");
  fallback.set_type(Proto::FLOAT);
  fallback.set_f(0.5f);
  return wire;
}

onnx_wire::NodeProto& call_of(Wire& wire) { return *wire.mutable_graph()->mutable_node(1); }

TEST(import_functions, calls_are_replaced_by_the_nodes_of_the_function) {
  const Model model = import(model_with_function());
  ASSERT_EQ(model.graph->nodes().size(), 2u);
  const Node& elu = model.graph->node(1);
  EXPECT_EQ(elu.op, "Elu");
  EXPECT_EQ(elu.name, "call/elu");
  EXPECT_EQ(elu.opset, 18) << "a function's nodes follow the function's opset";
  EXPECT_EQ(elu.inputs[0], model.graph->node(0).outputs[0]);
  EXPECT_EQ(model.graph->value(model.graph->outputs()[0]).name, "y");
}

TEST(import_functions, attributes_come_from_the_call_or_the_default) {
  Wire wire = model_with_function();
  EXPECT_EQ(import(wire).graph->node(1).get<float>("alpha"), 0.5f);
  add_attribute(call_of(wire), "slope", Proto::FLOAT).set_f(2);
  EXPECT_EQ(import(wire).graph->node(1).get<float>("alpha"), 2.0f);
}

TEST(import_functions, an_attribute_given_by_nobody_is_left_out) {
  Wire wire = model_with_function();
  wire.mutable_functions(0)->clear_attribute_proto();
  wire.mutable_functions(0)->add_attribute("slope");
  EXPECT_FALSE(import(wire).graph->node(1).has("alpha"));
}

TEST(import_functions, two_calls_do_not_mix_their_names) {
  Wire wire = model_with_function();
  auto& function = *wire.mutable_functions(0);
  function.mutable_node(0)->set_output(0, "middle");
  add_node(*function.mutable_node(), "Relu", {"middle"}, {"b"});
  add_call(*wire.mutable_graph()->mutable_node(), "Scale", {"y"}, {"z"}, "again");
  wire.mutable_graph()->mutable_output(0)->set_name("z");
  const Model model = import(wire);
  ASSERT_EQ(model.graph->nodes().size(), 5u);
  EXPECT_TRUE(model.graph->find_value("call/middle").has_value());
  EXPECT_TRUE(model.graph->find_value("again/middle").has_value());
}

TEST(import_functions, nested_calls_hand_attributes_on) {
  Wire wire = model_with_function();
  auto& outer = add_function(wire, "Outer", {"p"}, {"q"});
  auto& inner_call = add_call(*outer.mutable_node(), "Scale", {"p"}, {"q"}, "inner");
  add_attribute(inner_call, "slope", Proto::FLOAT).set_ref_attr_name("strength");
  outer.add_attribute("strength");
  call_of(wire).set_op_type("Outer");
  add_attribute(call_of(wire), "strength", Proto::FLOAT).set_f(4);
  const Model model = import(wire);
  EXPECT_EQ(model.graph->node(1).get<float>("alpha"), 4.0f);
  EXPECT_EQ(model.graph->node(1).name, "call/inner/elu");
}

TEST(import_functions, functions_come_before_operators_of_the_same_name) {
  Wire wire = small_model();
  auto& function = add_function(wire, "Relu", {"a"}, {"b"}, "ai.onnx");
  add_node(*function.mutable_node(), "Abs", {"a"}, {"b"});
  EXPECT_EQ(import(wire).graph->node(1).op, "Abs");
}

TEST(import_functions, overloads_are_told_apart) {
  Wire wire = model_with_function();
  auto& other = add_function(wire, "Scale", {"a"}, {"b"});
  other.set_overload("negated");
  add_node(*other.mutable_node(), "Neg", {"a"}, {"b"});
  EXPECT_EQ(import(wire).graph->node(1).op, "Elu");
  call_of(wire).set_overload("negated");
  EXPECT_EQ(import(wire).graph->node(1).op, "Neg");
}

TEST(import_functions, omitted_inputs_stay_omitted_inside) {
  Wire wire = model_with_function();
  auto& function = add_function(wire, "Limit", {"a", "low", "high"}, {"b"});
  add_node(*function.mutable_node(), "Clip", {"a", "low", "high"}, {"b"});
  call_of(wire).set_op_type("Limit");
  call_of(wire).add_input("");
  call_of(wire).add_input("w");
  const Model model = import(wire);
  const Node& clip = model.graph->node(1);
  ASSERT_EQ(clip.inputs.size(), 3u);
  EXPECT_EQ(clip.inputs[1], kNoValue);
  EXPECT_NE(clip.inputs[2], kNoValue);
}

TEST(import_functions, an_output_that_is_an_input_is_copied) {
  Wire wire = model_with_function();
  auto& function = add_function(wire, "Same", {"a"}, {"a"});
  call_of(wire).set_op_type("Same");
  const Model model = import(wire);
  EXPECT_EQ(model.graph->node(1).op, "Identity");
  EXPECT_EQ(model.graph->value(model.graph->outputs()[0]).name, "y");
  function.add_output("missing");
  call_of(wire).add_output("other");
  expect_refused(wire, ErrorKind::model, {"call", "'missing'", "not computed"});
}

TEST(import_functions, unwanted_outputs_need_no_value) {
  Wire wire = model_with_function();
  auto& function = *wire.mutable_functions(0);
  function.add_output("extra");
  add_node(*function.mutable_node(), "Abs", {"a"}, {"extra"});
  EXPECT_EQ(import(wire).graph->nodes().size(), 2u) << "the node for the unwanted output is dropped";
}

TEST(import_functions, bodies_inside_functions_see_the_functions_names_only) {
  Wire wire = model_with_function();
  auto& function = *wire.mutable_functions(0);
  auto& node = add_node(*function.mutable_node(), "If", {"a"}, {"unused"});
  auto& body = *add_attribute(node, "then_branch", Proto::GRAPH).mutable_g();
  add_node(*body.mutable_node(), "Neg", {"a"}, {"inner"});
  body.add_output()->set_name("inner");
  EXPECT_EQ(import(wire).graph->nodes().size(), 2u);
  body.mutable_node(0)->set_input(0, "sum");  // a name of the caller
  expect_refused(wire, ErrorKind::model, {"call", "'sum'", "nothing computes"});
}

TEST(import_functions, a_body_given_as_an_attribute_sees_the_callers_names) {
  Wire wire = model_with_function();
  auto& graph = *wire.mutable_graph();
  set_tensor_type(*graph.add_input(), "condition", {}, DType::boolean);
  auto& function = add_function(wire, "Choose", {"c"}, {"r"});
  function.add_attribute("yes");
  auto& node = add_node(*function.mutable_node(), "If", {"c"}, {"r"});
  for (const char* branch : {"then_branch", "else_branch"}) {
    add_attribute(node, branch, Proto::GRAPH).set_ref_attr_name("yes");
  }
  auto& call = call_of(wire);
  call.set_op_type("Choose");
  call.set_input(0, "condition");
  auto& body = *add_attribute(call, "yes", Proto::GRAPH).mutable_g();
  add_node(*body.mutable_node(), "Neg", {"sum"}, {"inner"});
  body.add_output()->set_name("inner");
  const Model model = import(wire);
  const Node& choice = model.graph->node(1);
  EXPECT_EQ(choice.op, "If");
  ASSERT_EQ(choice.captures.size(), 2u);
  EXPECT_EQ(choice.captures[0], model.graph->node(0).outputs[0]);
}

TEST(import_functions, recursion_is_refused) {
  Wire wire = model_with_function();
  add_call(*wire.mutable_functions(0)->mutable_node(), "Scale", {"a"}, {"loop"});
  expect_refused(wire, ErrorKind::model, {"call", "'Scale' calls itself"});
}

TEST(import_functions, mutual_recursion_is_refused) {
  Wire wire = model_with_function();
  add_call(*wire.mutable_functions(0)->mutable_node(), "Back", {"a"}, {"loop"});
  add_call(*add_function(wire, "Back", {"a"}, {"b"}).mutable_node(), "Scale", {"a"}, {"b"});
  expect_refused(wire, ErrorKind::model, {"'Scale' calls itself"});
}

TEST(import_functions, calls_without_nodes_count_too) {
  Wire wire = model_with_function();
  for (int level = 0; level < 40; ++level) {
    auto& function = add_function(wire, fmt::format("Level{}", level), {"a"}, {"a"});
    const std::string next = fmt::format("Level{}", level + 1);
    for (int i = 0; i < 2 && level < 39; ++i) add_call(*function.mutable_node(), next, {"a"}, {});
  }
  call_of(wire).set_op_type("Level0");
  ImportLimits limits;
  limits.nodes = 20'000;
  expect_refused(wire, ErrorKind::limit, {"20000 nodes"}, limits);
}

// The call in the model expands to a tree of calls with `levels` levels.
Wire model_with_doubling_functions(int levels) {
  Wire wire = model_with_function();
  for (int level = 0; level < levels; ++level) {
    auto& function = add_function(wire, fmt::format("Level{}", level), {"a"}, {"b"});
    const std::string next = level == levels - 1 ? "Scale" : fmt::format("Level{}", level + 1);
    add_call(*function.mutable_node(), next, {"a"}, {"half"});
    add_call(*function.mutable_node(), next, {"half"}, {"b"});
  }
  call_of(wire).set_op_type("Level0");
  return wire;
}

TEST(import_functions, exponential_expansion_is_refused_before_it_begins) {
  ImportLimits limits;
  limits.operands = 1000;  // would be exceeded within the first few calls
  expect_refused(model_with_doubling_functions(40), ErrorKind::limit, {"4000000 nodes"}, limits);
  expect_refused(model_with_doubling_functions(100), ErrorKind::limit, {"4000000 nodes"}, limits);
}

TEST(import_functions, the_node_limit_counts_calls_and_what_they_expand_to) {
  // 2 nodes of the model, 2 + 4 + 8 calls, 8 nodes.
  const Wire wire = model_with_doubling_functions(3);
  ImportLimits limits;
  limits.nodes = 24;
  EXPECT_EQ(import(wire, limits).graph->nodes().size(), 9u);
  limits.nodes = 23;
  expect_refused(wire, ErrorKind::limit, {"23 nodes"}, limits);
}

TEST(import_functions, the_node_limit_counts_bodies_in_functions) {
  Wire wire = model_with_function();
  auto& function = add_function(wire, "Branch", {"a"}, {"b"});
  auto& branch = add_node(*function.mutable_node(), "If", {"a"}, {"b"});
  auto& body = *add_attribute(branch, "then_branch", Proto::GRAPH).mutable_g();
  for (int i = 0; i < 50; ++i) add_call(*body.mutable_node(), "Scale", {"a"}, {fmt::format("v{}", i)});
  body.add_output()->set_name("v0");
  call_of(wire).set_op_type("Branch");
  ImportLimits limits;
  limits.nodes = 50;
  limits.operands = 12;  // not enough for the body
  expect_refused(wire, ErrorKind::limit, {"50 nodes"}, limits);
}

TEST(import_functions, too_many_operands_are_refused) {
  Wire wire = model_with_function();
  call_of(wire).add_input("x");
  expect_refused(wire, ErrorKind::model, {"call", "2 inputs", "'Scale' has 1"});
}

TEST(import_functions, two_functions_of_one_name_are_refused) {
  Wire wire = model_with_function();
  add_function(wire, "Scale", {"a"}, {"a"});
  expect_refused(wire, ErrorKind::model, {"'Scale'", "defined twice"});
}

TEST(import_functions, a_reference_outside_a_function_is_refused) {
  Wire wire = small_model();
  add_attribute(*wire.mutable_graph()->mutable_node(0), "axis", Proto::INT).set_ref_attr_name("outer");
  expect_refused(wire, ErrorKind::model, {"add", "'outer'", "outside any function"});
}

TEST(import_functions, a_functions_opset_is_checked) {
  Wire wire = model_with_function();
  wire.mutable_functions(0)->mutable_opset_import(0)->set_version(5);
  expect_refused(wire, ErrorKind::unsupported, {"'Scale'", "opset 5", "7 to 27"});
}

}  // namespace
}  // namespace sparse_run
