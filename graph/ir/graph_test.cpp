// Tests of building, checking, editing and sorting graphs.
#include "graph/ir/graph.hpp"

#include <gmock/gmock.h>

#include "base/clock.hpp"

namespace sparse_run {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Node make_node(std::string op, std::vector<ValueId> inputs, std::vector<ValueId> outputs) {
  Node node;
  node.op = std::move(op);
  node.opset = 13;
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  return node;
}

Type f32_vector() { return Type::tensor(DType::f32, Shape{4}); }

std::string build_error(GraphBuilder builder) {
  try {
    std::move(builder).build();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::model);
    return error.what();
  }
  return "no error";
}

std::vector<std::string> ops(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes()) names.push_back(node.op);
  return names;
}

TEST(GraphBuilder, sorts_nodes_given_in_any_order) {
  GraphBuilder b("g");
  const ValueId x = b.add_input("x", f32_vector());
  const ValueId a = b.add_value("a");
  const ValueId y = b.add_value("y");
  b.add_node(make_node("Exp", {a}, {y}));
  b.add_node(make_node("Neg", {x}, {a}));
  b.add_output(y);
  const Graph g = std::move(b).build();
  EXPECT_THAT(ops(g), ElementsAre("Neg", "Exp"));
  EXPECT_EQ(g.producer(*g.find_value("y")), NodeId{1});
  EXPECT_EQ(g.producer(*g.find_value("x")), std::nullopt);
  EXPECT_THAT(g.consumers(*g.find_value("a")), ElementsAre(NodeId{1}));
  EXPECT_TRUE(g.is_output(*g.find_value("y")));
  EXPECT_FALSE(g.is_output(*g.find_value("a")));
}

TEST(GraphBuilder, a_cycle_is_refused_naming_a_node) {
  GraphBuilder b;
  const ValueId x = b.add_input("x", f32_vector());
  const ValueId a = b.add_value("a");
  const ValueId c = b.add_value("c");
  b.node(b.add_node(make_node("Add", {x, c}, {a}))).name = "first";
  b.add_node(make_node("Neg", {a}, {c}));
  b.add_output(c);
  EXPECT_THAT(build_error(std::move(b)), HasSubstr("node 'first' (Add) is part of a cycle"));
}

TEST(GraphBuilder, a_node_that_reads_its_own_output_is_a_cycle) {
  GraphBuilder b;
  const ValueId a = b.add_value("a");
  b.add_node(make_node("Neg", {a}, {a}));
  b.add_output(a);
  EXPECT_THAT(build_error(std::move(b)), HasSubstr("cycle"));
}

TEST(GraphBuilder, two_producers_of_a_value_are_refused) {
  GraphBuilder b;
  const ValueId x = b.add_input("x", f32_vector());
  const ValueId y = b.add_value("y");
  b.add_node(make_node("Neg", {x}, {y}));
  b.add_node(make_node("Exp", {x}, {y}));
  b.add_output(y);
  EXPECT_THAT(build_error(std::move(b)), HasSubstr("'y' is computed by two nodes"));
}

TEST(GraphBuilder, a_computed_initializer_is_refused) {
  GraphBuilder b;
  const ValueId x = b.add_input("x", f32_vector());
  const ValueId w = b.add_constant("w", Tensor::scalar(1.0f));
  b.add_node(make_node("Neg", {x}, {w}));
  b.add_output(w);
  EXPECT_THAT(build_error(std::move(b)), HasSubstr("'w' is an input or initializer and also computed"));
}

TEST(GraphBuilder, a_value_nothing_computes_is_refused_with_its_reader) {
  GraphBuilder b;
  const ValueId ghost = b.add_value("ghost");
  const ValueId y = b.add_value("y");
  b.add_node(make_node("Neg", {ghost}, {y}));
  b.add_output(y);
  EXPECT_THAT(build_error(std::move(b)), HasSubstr("(Neg) needs value 'ghost', which nothing computes"));
}

TEST(GraphBuilder, an_output_nothing_computes_is_refused) {
  GraphBuilder b;
  b.add_output(b.add_value("ghost"));
  EXPECT_THAT(build_error(std::move(b)), HasSubstr("output list needs value 'ghost'"));
}

TEST(GraphBuilder, dead_code_goes_and_inputs_stay) {
  GraphBuilder b;
  const ValueId x = b.add_input("x", f32_vector());
  b.add_input("unused", f32_vector());
  const ValueId dead = b.add_value("dead");
  const ValueId y = b.add_value("y");
  b.add_constant("unused_weight", Tensor::scalar(1.0f));
  b.add_node(make_node("Exp", {x}, {dead}));
  b.add_node(make_node("Neg", {x}, {y}));
  b.add_output(y);
  const Graph g = std::move(b).build();
  EXPECT_THAT(ops(g), ElementsAre("Neg"));
  EXPECT_EQ(g.inputs().size(), 2u);
  EXPECT_EQ(g.values().size(), 3u);
  EXPECT_EQ(g.find_value("unused_weight"), std::nullopt);
}

TEST(GraphBuilder, a_cycle_in_dead_code_does_not_matter) {
  GraphBuilder b;
  const ValueId x = b.add_input("x", f32_vector());
  const ValueId a = b.add_value("a");
  const ValueId y = b.add_value("y");
  b.add_node(make_node("Neg", {a}, {a}));
  b.add_node(make_node("Neg", {x}, {y}));
  b.add_output(y);
  EXPECT_THAT(ops(std::move(b).build()), ElementsAre("Neg"));
}

TEST(GraphBuilder, trailing_omitted_operands_are_dropped) {
  GraphBuilder b;
  const ValueId x = b.add_input("x", f32_vector());
  const ValueId y = b.add_value("y");
  b.add_node(make_node("Clip", {x, kNoValue, kNoValue}, {y}));
  b.add_output(y);
  const Graph g = std::move(b).build();
  EXPECT_EQ(g.node(0).inputs.size(), 1u);
}

TEST(GraphBuilder, names_are_made_unique) {
  GraphBuilder b;
  const ValueId first = b.add_value("v");
  const ValueId second = b.add_value("v");
  EXPECT_EQ(b.value(first).name, "v");
  EXPECT_NE(b.value(second).name, "v");
  EXPECT_NE(b.value(b.add_value("")).name, b.value(b.add_value("")).name);
}

struct Chain {
  GraphBuilder b;
  ValueId x, a, y;
  NodeId neg, exp;
};

Chain chain() {
  Chain c;
  c.x = c.b.add_input("x", f32_vector());
  c.a = c.b.add_value("a", f32_vector());
  c.y = c.b.add_value("y", f32_vector());
  c.neg = c.b.add_node(make_node("Neg", {c.x}, {c.a}));
  c.exp = c.b.add_node(make_node("Exp", {c.a}, {c.y}));
  c.b.add_output(c.y);
  return c;
}

TEST(GraphBuilder, queries_follow_edits) {
  Chain c = chain();
  EXPECT_EQ(c.b.producer(c.a), c.neg);
  EXPECT_THAT(c.b.consumers(c.a), ElementsAre(c.exp));
  c.b.node(c.exp).inputs[0] = c.x;
  EXPECT_THAT(c.b.consumers(c.a), ElementsAre());
  EXPECT_THAT(c.b.consumers(c.x), ElementsAre(c.neg, c.exp));
  c.b.remove_node(c.neg);
  EXPECT_EQ(c.b.producer(c.a), std::nullopt);
  EXPECT_THAT(c.b.consumers(c.x), ElementsAre(c.exp));
}

TEST(GraphBuilder, replacing_an_inner_value_redirects_its_readers) {
  Chain c = chain();
  c.b.replace_uses(c.a, c.x);
  EXPECT_THAT(c.b.consumers(c.x), ElementsAre(c.neg, c.exp));
  const Graph g = std::move(c.b).build();
  EXPECT_THAT(ops(g), ElementsAre("Exp"));
}

TEST(GraphBuilder, a_replaced_output_keeps_its_public_name_and_symbols) {
  Chain c = chain();
  c.b.value(c.y).symbols = {"batch"};
  c.b.replace_uses(c.y, c.a);
  const Graph g = std::move(c.b).build();
  EXPECT_THAT(ops(g), ElementsAre("Neg"));
  EXPECT_EQ(g.value(g.outputs()[0]).name, "y");
  EXPECT_THAT(g.value(g.outputs()[0]).symbols, ElementsAre("batch"));
}

TEST(GraphBuilder, an_output_replaced_by_an_input_becomes_an_identity) {
  Chain c = chain();
  c.b.replace_uses(c.y, c.x);
  const Graph g = std::move(c.b).build();
  EXPECT_THAT(ops(g), ElementsAre("Identity"));
  EXPECT_EQ(g.value(g.outputs()[0]).name, "y");
  EXPECT_EQ(g.value(g.inputs()[0]).name, "x");
}

TEST(GraphBuilder, an_output_replaced_by_another_output_keeps_both_names) {
  Chain c = chain();
  c.b.add_output(c.a);
  c.b.replace_uses(c.y, c.a);
  const Graph g = std::move(c.b).build();
  ASSERT_EQ(g.outputs().size(), 2u);
  EXPECT_EQ(g.value(g.outputs()[0]).name, "y");
  EXPECT_EQ(g.value(g.outputs()[1]).name, "a");
  EXPECT_THAT(ops(g), ElementsAre("Neg", "Identity"));
}

TEST(GraphBuilder, a_value_made_constant_leaves_its_node_to_dead_code) {
  Chain c = chain();
  c.b.make_constant(c.a, Tensor::of<float>({4}, {1, 2, 3, 4}));
  const Graph g = std::move(c.b).build();
  EXPECT_THAT(ops(g), ElementsAre("Exp"));
  EXPECT_NE(g.value(g.node(0).inputs[0]).tensor(), nullptr);
}

TEST(GraphBuilder, one_constant_output_leaves_the_other_outputs_of_its_node) {
  GraphBuilder b;
  const ValueId x = b.add_input("x", f32_vector());
  const ValueId first = b.add_value("first");
  const ValueId second = b.add_value("second");
  b.add_node(make_node("Split", {x}, {first, second}));
  b.add_output(first);
  b.add_output(second);
  b.make_constant(second, Tensor::scalar(1.0f));
  const Graph g = std::move(b).build();
  EXPECT_EQ(g.node(0).outputs[1], kNoValue);
  EXPECT_EQ(g.value(g.outputs()[1]).name, "second");
}

GraphPtr capturing_body(std::string name) {
  GraphBuilder body(std::move(name));
  const ValueId outer = body.add_capture("outer", f32_vector());
  const ValueId y = body.add_value("y");
  body.add_node(make_node("Neg", {outer}, {y}));
  body.add_output(y);
  return std::make_shared<const Graph>(std::move(body).build());
}

TEST(GraphBuilder, captured_values_are_needed_and_consumed) {
  GraphBuilder b;
  const ValueId condition = b.add_input("condition", Type::tensor(DType::boolean, Shape{}));
  const ValueId x = b.add_input("x", f32_vector());
  const ValueId a = b.add_value("a");
  const ValueId y = b.add_value("y");
  b.add_node(make_node("Exp", {x}, {a}));
  Node node = make_node("If", {condition}, {y});
  node.attributes["then_branch"] = capturing_body("then");
  node.attributes["else_branch"] = capturing_body("else");
  node.captures = {x, a};  // in the order of attributes: else, then
  const NodeId branch = b.add_node(std::move(node));
  b.add_output(y);
  EXPECT_THAT(b.consumers(a), ElementsAre(branch));
  EXPECT_THAT(captures_of(b.node(branch), "else_branch"), ElementsAre(x));
  EXPECT_THAT(captures_of(b.node(branch), "then_branch"), ElementsAre(a));
  b.replace_uses(a, x);
  const Graph g = std::move(b).build();
  EXPECT_THAT(ops(g), ElementsAre("If"));
  EXPECT_THAT(g.node(0).captures, ElementsAre(g.inputs()[1], g.inputs()[1]));
}

TEST(GraphBuilder, a_graph_survives_a_round_through_the_builder) {
  const Graph before = std::move(chain().b).build();
  const Graph after = GraphBuilder(before).build();
  EXPECT_EQ(ops(after), ops(before));
  EXPECT_EQ(after.value(after.outputs()[0]).name, "y");
}

TEST(GraphBuilder, ten_thousand_edits_are_fast) {
  GraphBuilder b;
  ValueId last = b.add_input("x", f32_vector());
  const ValueId x = last;
  std::vector<ValueId> values;
  for (int i = 0; i < 20000; ++i) {
    const ValueId next = b.add_value(fmt::format("v{}", i));
    b.add_node(make_node("Add", {last, x}, {next}));
    values.push_back(next);
    last = next;
  }
  b.add_output(last);
  const auto start = Clock::now();
  for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
    b.replace_uses(values[i], x);
    EXPECT_EQ(b.consumers(values[i]).size(), 0u);
    if (i % 4 == 0 && i + 3 < values.size()) b.make_constant(values[i], Tensor::scalar(1.0f));
  }
  const Graph g = std::move(b).build();
  EXPECT_EQ(g.nodes().size(), 1u);
  EXPECT_LT(seconds_since(start), 5.0) << "editing is quadratic";
}

}  // namespace
}  // namespace sparse_run
