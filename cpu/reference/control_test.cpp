// Control flow, sequences, optionals, recurrent networks and random generators, against values worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "cpu/reference/single_node.hpp"
#include "graph/ops/infer.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

using Ints = std::vector<std::int64_t>;

template <class Body>
ErrorKind kind_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was refused";
  return ErrorKind::internal;
}

Node make_node(std::string op, std::vector<ValueId> inputs, std::vector<ValueId> outputs) {
  Node node;
  node.op = std::move(op);
  node.opset = 21;
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  return node;
}

Tensor list(std::initializer_list<float> values) {
  return Tensor::of<float>({static_cast<std::int64_t>(values.size())}, values);
}

GraphPtr finish(GraphBuilder builder) { return std::make_shared<const Graph>(std::move(builder).build()); }

const Type kFloats = Type::tensor(DType::f32, Shape{kUnknownDim});

// then: the captured value twice over; else: the captured value.
Graph if_graph() {
  GraphBuilder outer("outer");
  const ValueId condition = outer.add_input("condition", Type::tensor(DType::boolean, Shape{}));
  const ValueId x = outer.add_input("x", kFloats);
  GraphBuilder then_branch("then");
  const ValueId seen = then_branch.add_capture("x", kFloats);
  const ValueId doubled = then_branch.add_value("doubled");
  Node concat = make_node("Concat", {seen, seen}, {doubled});
  concat.attributes.emplace("axis", std::int64_t{0});
  then_branch.add_node(concat);
  then_branch.add_output(doubled);
  GraphBuilder else_branch("else");
  else_branch.add_output(else_branch.add_capture("x", kFloats));
  Node node = make_node("If", {condition}, {outer.add_value("y")});
  node.attributes.emplace("then_branch", finish(std::move(then_branch)));
  node.attributes.emplace("else_branch", finish(std::move(else_branch)));
  node.captures = {x, x};  // else_branch's first: attributes are in the order of their names
  outer.add_output(node.outputs[0]);
  outer.add_node(std::move(node));
  return std::move(outer).build();
}

TEST(If, condition_chooses_the_branch) {
  const Graph graph = if_graph();
  const Value x = list({1, 2});
  EXPECT_THAT(elements<float>(run_graph(graph, std::vector<Value>{Tensor::scalar(true), x})[0].tensor),
              ElementsAre(1, 2, 1, 2));
  EXPECT_THAT(elements<float>(run_graph(graph, std::vector<Value>{Tensor::scalar(false), x})[0].tensor),
              ElementsAre(1, 2));
}

TEST(If, inference_keeps_what_both_branches_share) {
  const Graph graph = if_graph();
  const std::vector<Type> inputs{Type::tensor(DType::boolean, Shape{}), Type::tensor(DType::f32, Shape{2})};
  const Type type = infer_graph(graph, inputs, {})[graph.outputs()[0]];
  EXPECT_EQ(type.dtype, DType::f32);
  EXPECT_EQ(type.shape, Shape{kUnknownDim});
}

// Doubles its state each round, reports it as scan output, goes on while the state is below `bound`.
Graph loop_graph(float bound, bool with_trips) {
  GraphBuilder body("body");
  body.add_input("i", Type::tensor(DType::i64, Shape{}));
  body.add_input("go", Type::tensor(DType::boolean, Shape{}));
  const ValueId state = body.add_input("state", Type::tensor(DType::f32, Shape{}));
  const ValueId next = body.add_value("next");
  const ValueId again = body.add_value("again");
  const ValueId limit = body.add_constant("limit", Tensor::scalar(bound));
  body.add_node(make_node("Add", {state, state}, {next}));
  body.add_node(make_node("Less", {next, limit}, {again}));
  body.set_outputs({again, next, next});

  GraphBuilder outer("outer");
  const ValueId trips = outer.add_input("trips", Type::tensor(DType::i64, Shape{}));
  const ValueId go = outer.add_input("go", Type::tensor(DType::boolean, Shape{}));
  const ValueId start = outer.add_input("start", Type::tensor(DType::f32, Shape{}));
  const ValueId last = outer.add_value("last");
  const ValueId all = outer.add_value("all");
  Node node = make_node("Loop", {with_trips ? trips : kNoValue, go, start}, {last, all});
  node.attributes.emplace("body", finish(std::move(body)));
  outer.add_node(std::move(node));
  outer.set_outputs({last, all});
  return std::move(outer).build();
}

std::vector<Value> run_loop(const Graph& graph, std::int64_t trips, bool go) {
  return run_graph(graph, std::vector<Value>{Tensor::scalar(trips), Tensor::scalar(go), Tensor::scalar(1.0f)});
}

TEST(Loop, stops_at_trip_count_or_condition) {
  const Graph graph = loop_graph(10, true);
  EXPECT_THAT(elements<float>(run_loop(graph, 2, true)[1].tensor), ElementsAre(2, 4));
  EXPECT_THAT(elements<float>(run_loop(graph, 100, true)[1].tensor), ElementsAre(2, 4, 8, 16));
  EXPECT_THAT(elements<float>(run_loop(loop_graph(10, false), 0, true)[0].tensor), ElementsAre(16));
}

TEST(Loop, no_iterations_give_the_initial_state_and_empty_scan_outputs) {
  for (const bool go : {false, true}) {
    const auto outputs = run_loop(loop_graph(10, true), go ? 0 : 5, go);
    EXPECT_THAT(elements<float>(outputs[0].tensor), ElementsAre(1));
    EXPECT_EQ(outputs[1].tensor.shape(), (Shape{0}));
    EXPECT_EQ(outputs[1].tensor.dtype(), DType::f32);
  }
}

TEST(Loop, states_that_grow_are_inferred_as_unknown_dimensions) {
  GraphBuilder body("body");
  body.add_input("i", Type::tensor(DType::i64, Shape{}));
  const ValueId go = body.add_input("go", Type::tensor(DType::boolean, Shape{}));
  const ValueId state = body.add_input("state", Type{});
  const ValueId next = body.add_value("next");
  Node concat = make_node("Concat", {state, state}, {next});
  concat.attributes.emplace("axis", std::int64_t{0});
  body.add_node(concat);
  body.set_outputs({go, next});
  GraphBuilder outer("outer");
  const ValueId start = outer.add_input("start", Type::tensor(DType::f32, Shape{1, 3}));
  Node node = make_node("Loop", {outer.add_constant("trips", Tensor::scalar<std::int64_t>(3)), kNoValue, start},
                        {outer.add_value("last")});
  node.attributes.emplace("body", finish(std::move(body)));
  outer.set_outputs({node.outputs[0]});
  outer.add_node(std::move(node));
  const Graph graph = std::move(outer).build();
  const Tensor in = Tensor::of<float>({1, 3}, {1, 2, 3});
  const std::vector<Type> inputs{Type::tensor(DType::f32, Shape{1, 3})};
  EXPECT_EQ(infer_graph(graph, inputs, {})[graph.outputs()[0]].shape, (Shape{kUnknownDim, 3}));
  EXPECT_EQ(run_graph(graph, std::vector<Value>{in})[0].tensor.shape(), (Shape{8, 3}));
}

// Running sum over the rows of a matrix; state and scan output.
Graph scan_graph(std::vector<std::pair<std::string, Attribute>> attributes) {
  GraphBuilder body("body");
  const ValueId state = body.add_input("state", Type{});
  const ValueId x = body.add_input("x", Type{});
  const ValueId sum = body.add_value("sum");
  body.add_node(make_node("Add", {state, x}, {sum}));
  body.set_outputs({sum, sum});
  GraphBuilder outer("outer");
  const ValueId start = outer.add_input("start", kFloats);
  const ValueId rows = outer.add_input("rows", Type::tensor(DType::f32, Shape{kUnknownDim, kUnknownDim}));
  Node node = make_node("Scan", {start, rows}, {outer.add_value("last"), outer.add_value("all")});
  node.attributes.emplace("body", finish(std::move(body)));
  node.attributes.emplace("num_scan_inputs", std::int64_t{1});
  for (auto& [name, value] : attributes) node.attributes.emplace(name, value);
  outer.set_outputs(node.outputs);
  outer.add_node(std::move(node));
  return std::move(outer).build();
}

TEST(Scan, state_goes_round_and_outputs_are_stacked) {
  const auto outputs =
      run_graph(scan_graph({}), std::vector<Value>{list({0, 0}), Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6})});
  EXPECT_THAT(elements<float>(outputs[0].tensor), ElementsAre(9, 12));
  EXPECT_THAT(elements<float>(outputs[1].tensor), ElementsAre(1, 2, 4, 6, 9, 12));
}

TEST(Scan, axes_and_directions_apply_to_inputs_and_outputs) {
  const Graph graph = scan_graph({{"scan_input_axes", Ints{1}},
                                  {"scan_input_directions", Ints{1}},
                                  {"scan_output_axes", Ints{-1}},
                                  {"scan_output_directions", Ints{1}}});
  const auto outputs =
      run_graph(graph, std::vector<Value>{list({0, 0}), Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6})});
  EXPECT_EQ(outputs[1].tensor.shape(), (Shape{2, 3}));
  EXPECT_THAT(elements<float>(outputs[1].tensor), ElementsAre(6, 5, 3, 15, 11, 6));
}

TEST(Scan, nothing_to_scan_gives_the_initial_state) {
  const auto outputs =
      run_graph(scan_graph({}), std::vector<Value>{list({7, 8}), Tensor::allocate(DType::f32, {0, 2})});
  EXPECT_THAT(elements<float>(outputs[0].tensor), ElementsAre(7, 8));
  EXPECT_EQ(outputs[1].tensor.shape(), (Shape{0, 2}));
}

Value floats(std::initializer_list<float> values) { return list(values); }

TEST(Sequence, insert_erase_and_at_take_negative_positions) {
  const Value sequence = Value::sequence({floats({1}), floats({2, 3})});
  const auto position = [](std::int64_t value) { return Value(Tensor::scalar(value)); };
  const Value longer = SingleNode("SequenceInsert").run_all({sequence, floats({9}), position(-1)}, 1)[0];
  EXPECT_THAT(elements<float>(longer.elements[1].tensor), ElementsAre(9));
  EXPECT_THAT(elements<float>(SingleNode("SequenceAt").run({longer, position(-1)})), ElementsAre(2, 3));
  const Value shorter = SingleNode("SequenceErase").run_all({longer}, 1)[0];
  EXPECT_EQ(shorter.elements.size(), 2u);
  EXPECT_EQ(kind_of([&] { SingleNode("SequenceAt").run({sequence, position(2)}); }), ErrorKind::input);
  EXPECT_EQ(kind_of([&] { SingleNode("SequenceErase").run({Value::sequence({})}); }), ErrorKind::input);
  EXPECT_EQ(kind_of([&] {
              SingleNode("SequenceInsert").run({sequence, Tensor::scalar<std::int64_t>(1)});
            }),
            ErrorKind::model);
  EXPECT_EQ(elements<std::int64_t>(SingleNode("SequenceLength").run({longer}))[0], 3);
}

TEST(Sequence, splits_and_joins) {
  const Tensor in = Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5});
  const Value chunks =
      SingleNode("SplitToSequence").with("axis", std::int64_t{1}).run_all({in, Tensor::scalar<std::int64_t>(2)}, 1)[0];
  ASSERT_EQ(chunks.elements.size(), 2u);
  EXPECT_THAT(elements<float>(chunks.elements[1].tensor), ElementsAre(2, 5));
  const Value rows = SingleNode("SplitToSequence").with("keepdims", std::int64_t{0}).run_all({in}, 1)[0];
  EXPECT_EQ(rows.elements[0].tensor.shape(), (Shape{3}));
  EXPECT_THAT(elements<float>(SingleNode("ConcatFromSequence").with("axis", std::int64_t{1}).run({chunks})),
              ElementsAre(0, 1, 2, 3, 4, 5));
  const Tensor stacked =
      SingleNode("ConcatFromSequence").with("axis", std::int64_t{-1}).with("new_axis", std::int64_t{1}).run({rows});
  EXPECT_THAT(elements<float>(stacked), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_EQ(kind_of([&] { SingleNode("ConcatFromSequence").with("axis", std::int64_t{0}).run({Value::sequence({})}); }),
            ErrorKind::input);
  EXPECT_EQ(kind_of([&] {
              SingleNode("SplitToSequence").run({in, Tensor::of<std::int64_t>({2}, {1, 2})});
            }),
            ErrorKind::model);
}

TEST(Sequence, elements_outlive_the_memory_they_were_made_from) {
  float memory[] = {1, 2};
  const Value sequence =
      SingleNode("SequenceInsert").run_all({Value::sequence({}), Tensor::view(DType::f32, {2}, memory)}, 1)[0];
  memory[0] = 9;
  EXPECT_THAT(elements<float>(sequence.elements[0].tensor), ElementsAre(1, 2));
}

TEST(Optional, has_and_gives_its_element) {
  const auto has = [](std::vector<Value> inputs) -> bool {
    return elements<bool>(SingleNode("OptionalHasElement").run(std::move(inputs)))[0];
  };
  EXPECT_TRUE(has({Value::some(floats({1}))}));
  EXPECT_FALSE(has({Value::none()}));
  EXPECT_TRUE(has({floats({1})}));
  EXPECT_FALSE(has({}));
  EXPECT_THAT(elements<float>(SingleNode("OptionalGetElement").run({Value::some(floats({5}))})), ElementsAre(5));
  EXPECT_EQ(kind_of([] { SingleNode("OptionalGetElement").run({Value::none()}); }), ErrorKind::input);
}

// One unit, one feature: every gate's weights are 1, biases 0 unless said.
Tensor ones(Shape shape) {
  Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
  for (float& element : tensor.data<float>()) element = 1;
  return tensor;
}

TEST(Rnn, state_feeds_back_in_both_directions) {
  const Tensor x = Tensor::of<float>({2, 1, 1}, {1, 2});
  const auto outputs = SingleNode("RNN")
                           .with("activations", std::vector<std::string>{"Relu", "Affine"})
                           .with("activation_alpha", std::vector<float>{2})
                           .with("activation_beta", std::vector<float>{0.5f})
                           .with("direction", std::string("bidirectional"))
                           .run_all({x, ones({2, 1, 1}), ones({2, 1, 1})}, 2);
  // forward: 1, 1 + 2 = 3; backward with 2 x + 0.5: 4.5 at the end, 2 (1 + 4.5) + 0.5 = 11.5 at the start
  EXPECT_EQ(outputs[0].tensor.shape(), (Shape{2, 2, 1, 1}));
  EXPECT_THAT(elements<float>(outputs[0].tensor), ElementsAre(1, 11.5f, 3, 4.5f));
  EXPECT_THAT(elements<float>(outputs[1].tensor), ElementsAre(3, 11.5f));
}

TEST(Rnn, positions_beyond_a_sequence_are_zero) {
  const Tensor x = Tensor::of<float>({2, 2, 1}, {1, 1, 1, 1});
  const auto outputs =
      SingleNode("RNN")
          .with("activations", std::vector<std::string>{"relu"})
          .run_all({x, ones({1, 1, 1}), ones({1, 1, 1}), Tensor{}, Tensor::of<std::int32_t>({2}, {2, 1})}, 2);
  EXPECT_THAT(elements<float>(outputs[0].tensor), ElementsAre(1, 1, 2, 0));
  EXPECT_THAT(elements<float>(outputs[1].tensor), ElementsAre(2, 1));
  EXPECT_EQ(kind_of([&] {
              SingleNode("RNN").run_all(
                  {x, ones({1, 1, 1}), ones({1, 1, 1}), Tensor{}, Tensor::of<std::int32_t>({2}, {3, 1})}, 1);
            }),
            ErrorKind::input);
}

TEST(Gru, reset_gate_acts_before_or_after_the_recurrence) {
  const Tensor x = Tensor::of<float>({1, 1, 1}, {1});
  const Tensor bias = Tensor::of<float>({1, 6}, {0, 0, 0, 0, 0, 1});  // recurrence bias of the hidden gate
  const Tensor start = Tensor::of<float>({1, 1, 1}, {1});
  const auto run = [&](std::int64_t linear) {
    return elements<float>(SingleNode("GRU")
                               .with("linear_before_reset", linear)
                               .with("activations", std::vector<std::string>{"sigmoid", "relu"})
                               .run_all({x, ones({1, 3, 1}), ones({1, 3, 1}), bias, Tensor{}, start}, 2)[1]
                               .tensor)[0];
  };
  const float gate = 1 / (1 + std::exp(-2.0f));
  EXPECT_NEAR(run(0), (1 - gate) * (1 + gate + 1) + gate, 1e-6f);
  EXPECT_NEAR(run(1), (1 - gate) * (1 + gate * 2) + gate, 1e-6f);
}

TEST(Lstm, peepholes_see_the_cell) {
  const Tensor x = Tensor::of<float>({1, 1, 1}, {1});
  const Tensor cell = Tensor::of<float>({1, 1, 1}, {2});
  const Tensor peepholes = Tensor::of<float>({1, 3}, {1, 2, 3});  // input, output, forget
  const auto outputs =
      SingleNode("LSTM")
          .with("activations", std::vector<std::string>{"affine", "affine", "affine"})
          .run_all({x, ones({1, 4, 1}), ones({1, 4, 1}), Tensor{}, Tensor{}, Tensor{}, cell, peepholes}, 3);
  // i = 1 + 2 = 3, f = 1 + 6 = 7, fresh = 1, C = 14 + 3 = 17, o = 1 + 34 = 35, H = 595
  EXPECT_THAT(elements<float>(outputs[2].tensor), ElementsAre(17));
  EXPECT_THAT(elements<float>(outputs[1].tensor), ElementsAre(595));
}

TEST(Lstm, shapes_that_do_not_fit_are_refused) {
  const Tensor x = ones({1, 1, 2});
  EXPECT_EQ(kind_of([&] { SingleNode("LSTM").run_all({x, ones({1, 4, 1}), ones({1, 4, 1})}, 1); }), ErrorKind::model);
  EXPECT_EQ(kind_of([&] { SingleNode("LSTM").run_all({x, ones({1, 3, 2}), ones({1, 3, 1})}, 1); }), ErrorKind::model);
  EXPECT_EQ(kind_of([&] {
              SingleNode("LSTM")
                  .with("activations", std::vector<std::string>{"f", "g", "h"})
                  .run_all({x, ones({1, 4, 2}), ones({1, 4, 1})}, 1);
            }),
            ErrorKind::unsupported);
}

TEST(Random, same_seed_gives_same_numbers_of_the_right_spread) {
  SingleNode normal = SingleNode("RandomNormal").with("shape", Ints{4000}).with("mean", 3.0f).with("seed", 7.0f);
  const auto first = elements<float>(normal.run({}));
  EXPECT_EQ(first, elements<float>(normal.run({})));
  const double mean = std::accumulate(first.begin(), first.end(), 0.0) / 4000;
  EXPECT_NEAR(mean, 3, 0.1);
  const auto uniform =
      elements<float>(SingleNode("RandomUniformLike").with("low", 2.0f).with("high", 3.0f).run({ones({9})}));
  EXPECT_THAT(uniform, Each(::testing::AllOf(::testing::Ge(2.0f), ::testing::Le(3.0f))));
  EXPECT_THAT(elements<std::int32_t>(SingleNode("Bernoulli").with("dtype", std::int64_t{6}).run({list({0, 1})})),
              ElementsAre(0, 1));
  const Tensor certain = Tensor::of<float>({1, 3}, {-1e9f, 0, -1e9f});
  EXPECT_THAT(elements<std::int32_t>(SingleNode("Multinomial").with("sample_size", std::int64_t{3}).run({certain})),
              Each(1));
}

}  // namespace
}  // namespace sparse_run::reference
