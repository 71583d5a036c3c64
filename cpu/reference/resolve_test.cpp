// Tests of shape resolution and constant folding, with the oracle as evaluator.
#include "graph/passes/resolve.hpp"

#include <gmock/gmock.h>

#include "cpu/reference/pass_check.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Counts evaluations and can refuse them.
class CountingEvaluator final : public Evaluator {
 public:
  std::vector<Value> evaluate(const Node& node, std::span<const Value> inputs,
                              std::span<const Value> captures) override {
    ++count;
    if (refuse) throw_error(ErrorKind::unsupported, "no kernel for {}", node.op);
    return inner_.evaluate(node, inputs, captures);
  }
  int count = 0;
  bool refuse = false;

 private:
  ReferenceEvaluator inner_;
};

Graph resolved_for(const Graph& graph, std::vector<Type> inputs) {
  ReferenceEvaluator evaluator;
  return resolve(graph, inputs, evaluator);
}

TEST(Resolve, constants_are_folded_through_chains) {
  GraphSketch s;
  const ValueId x = s.input("x", {2});
  const ValueId sum = s.op("Add", {s.number(1), s.number(2)});
  const Graph g = s.build(s.op("Mul", {x, s.op("Neg", {sum})}));
  const Graph folded = resolved(g);
  EXPECT_THAT(ops_of(folded), ElementsAre("Mul"));
  EXPECT_FLOAT_EQ(folded.value(folded.node(0).inputs[1]).tensor()->data<float>()[0], -3);
  expect_equivalent(folded, g);
}

TEST(Resolve, shape_arithmetic_becomes_constant_for_concrete_inputs) {
  GraphSketch s;
  const ValueId x = s.input("x", {kUnknownDim, 3, kUnknownDim});
  const ValueId shape = s.op("Shape", {x});
  const ValueId batch = s.op("Gather", {shape, s.constant(Tensor::scalar<std::int64_t>(0))});
  const ValueId target =
      s.op("Concat", {s.op("Unsqueeze", {batch, s.integers({0})}), s.integers({-1})}, {{"axis", std::int64_t{0}}});
  const Graph g = s.build(s.op("Reshape", {x, target}));
  const Graph folded = resolved_for(g, {Type::tensor(DType::f32, Shape{2, 3, 5})});
  EXPECT_THAT(ops_of(folded), ElementsAre("Reshape"));
  EXPECT_EQ(folded.value(folded.outputs()[0]).type.shape, (Shape{2, 15}));
  EXPECT_EQ(folded.value(folded.outputs()[0]).name, g.value(g.outputs()[0]).name);
}

TEST(Resolve, shape_of_a_computed_value_is_folded_and_its_source_dropped) {
  GraphSketch s;
  const ValueId x = s.input("x", {2, 3});
  const Graph folded = resolved(s.build(s.op("Shape", {s.op("Exp", {x})})));
  EXPECT_THAT(ops_of(folded), IsEmpty());
  EXPECT_THAT(folded.value(folded.outputs()[0]).tensor()->to_int64(), ElementsAre(2, 3));
}

TEST(Resolve, size_is_folded) {
  GraphSketch s;
  const Graph folded = resolved(s.build(s.op("Size", {s.input("x", {2, 3})})));
  EXPECT_THAT(folded.value(folded.outputs()[0]).tensor()->to_int64(), ElementsAre(6));
}

TEST(Resolve, shape_with_unknown_dimensions_stays) {
  GraphSketch s;
  const Graph folded = resolved(s.build(s.op("Shape", {s.input("x", {kUnknownDim, 3})})));
  EXPECT_THAT(ops_of(folded), ElementsAre("Shape"));
}

TEST(Resolve, input_shapes_that_contradict_the_model_are_refused_by_name) {
  GraphSketch s;
  const Graph g = s.build(s.op("Neg", {s.input("x", {2, 3})}));
  try {
    resolved_for(g, {Type::tensor(DType::f32, Shape{2, 4})});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::model);
    EXPECT_THAT(error.what(), HasSubstr("input 'x'"));
  }
}

TEST(Resolve, nodes_that_do_nothing_are_dropped) {
  GraphSketch s;
  ValueId v = s.input("x", {2, 3});
  v = s.op("Relu", {v});
  v = s.op("Identity", {v});
  v = s.op("Dropout", {v});
  v = s.op("Cast", {v}, {{"to", std::int64_t{1}}});
  v = s.op("Reshape", {v, s.integers({2, 3})});
  v = s.op("Transpose", {v}, {{"perm", std::vector<std::int64_t>{0, 1}}});
  v = s.op("Slice", {v, s.integers({0}), s.integers({99}), s.integers({0})});
  v = s.op("Expand", {v, s.integers({2, 1})});
  v = s.op("Mul", {v, s.number(1)});
  v = s.op("Concat", {v}, {{"axis", std::int64_t{0}}});
  const Graph g = s.build(v);
  const Graph folded = resolved(g);
  EXPECT_THAT(ops_of(folded), ElementsAre("Relu"));
  expect_equivalent(folded, g);
}

TEST(Resolve, a_reversing_slice_of_full_size_stays) {
  GraphSketch s;
  const ValueId x = s.input("x", {3});
  const Graph g = s.build(s.op("Slice", {x, s.integers({-1}), s.integers({-9}), s.integers({0}), s.integers({-1})}));
  EXPECT_THAT(ops_of(resolved(g)), ElementsAre("Slice"));
}

TEST(Resolve, multiplying_by_one_that_broadcasts_stays) {
  GraphSketch s;
  const ValueId x = s.input("x", {3});
  const Graph g = s.build(s.op("Mul", {x, s.constant(Tensor::of<float>({1, 1}, {1}))}));
  const Graph folded = resolved(g);
  EXPECT_THAT(ops_of(folded), ElementsAre("Mul"));
  EXPECT_EQ(folded.value(folded.outputs()[0]).type.shape, (Shape{1, 3}));
}

TEST(Resolve, an_output_that_is_an_input_keeps_both_names) {
  GraphSketch s;
  const ValueId x = s.input("x", {3});
  const Graph g = s.build(s.op("Identity", {x}));
  const Graph folded = resolved(g);
  EXPECT_THAT(ops_of(folded), ElementsAre("Identity"));
  expect_equivalent(folded, g);
}

TEST(Resolve, two_outputs_of_one_value_keep_both_names) {
  GraphSketch s;
  const ValueId a = s.op("Neg", {s.input("x", {3})});
  s.output(a);
  const Graph g = s.build(s.op("Identity", {a}));
  expect_equivalent(resolved(g), g);
}

TEST(Resolve, blow_up_of_a_small_constant_is_refused) {
  GraphSketch s;
  const ValueId big = s.op("Expand", {s.number(1), s.integers({1 << 20, 64})});
  const Graph g = s.build(s.op("Neg", {big}));
  const Graph folded = resolved(g);
  EXPECT_THAT(ops_of(folded), ElementsAre("Expand", "Neg"));
  EXPECT_TRUE(folded.value(folded.outputs()[0]).type.is_concrete());
}

TEST(Resolve, the_total_of_folded_bytes_is_bounded) {
  GraphSketch s;
  ValueId sum = s.input("x", {1000});
  for (int i = 0; i < 4; ++i) {
    sum = s.op("Add", {sum, s.op("Expand", {s.number(float(i)), s.integers({1000})})});
  }
  const Graph g = s.build(sum);
  ReferenceEvaluator evaluator;
  ResolveOptions options;
  options.total_limit_bytes = 8000;
  const Graph folded = fold_constants(g, evaluator, options);
  EXPECT_THAT(ops_of(folded), ElementsAre("Add", "Add", "Expand", "Add", "Expand", "Add"));
  expect_equivalent(folded, g);
}

TEST(Resolve, large_products_of_constants_are_left_to_run_time) {
  GraphSketch s;
  const ValueId w = s.constant(Tensor::allocate(DType::f32, {512, 512}));
  CountingEvaluator evaluator;
  const Graph folded = fold_constants(s.build(s.op("MatMul", {w, w})), evaluator);
  EXPECT_EQ(evaluator.count, 0);
  EXPECT_THAT(ops_of(folded), ElementsAre("MatMul"));
}

TEST(Resolve, a_node_without_a_kernel_is_not_folded) {
  GraphSketch s;
  CountingEvaluator evaluator;
  evaluator.refuse = true;
  const Graph folded = fold_constants(s.build(s.op("Neg", {s.number(1)})), evaluator);
  EXPECT_EQ(evaluator.count, 1);
  EXPECT_THAT(ops_of(folded), ElementsAre("Neg"));
}

TEST(Resolve, sparse_constants_stay_sparse) {
  GraphSketch s;
  SparseTensor sparse;
  sparse.shape = {4, 4};
  sparse.values = Tensor::of<float>({2}, {5, 6});
  sparse.indices = Tensor::of<std::int64_t>({2}, {1, 7});
  const ValueId w = s.builder().add_constant("w", sparse);
  const Graph folded = resolved(s.build(s.op("Neg", {w})));
  ASSERT_THAT(ops_of(folded), ElementsAre("Neg"));
  EXPECT_NE(folded.value(folded.node(0).inputs[0]).sparse(), nullptr);
}

TEST(Resolve, weights_are_shared_and_not_copied) {
  GraphSketch s;
  const Tensor w = Tensor::of<float>({3}, {1, 2, 3});
  const Graph folded = resolved(s.build(s.op("Add", {s.input("x", {3}), s.constant(w)})));
  EXPECT_EQ(folded.value(folded.node(0).inputs[1]).tensor()->raw(), w.raw());
}

GraphPtr branch(std::string op, Shape shape) {
  GraphBuilder body(op);
  const ValueId outer = body.add_capture("outer", Type::tensor(DType::f32, shape));
  const ValueId inner = body.add_value("inner");
  const ValueId result = body.add_value("result");
  Node first;
  first.op = op;
  first.opset = 17;
  first.inputs = {outer};
  first.outputs = {inner};
  body.add_node(std::move(first));
  Node second;
  second.op = "Add";
  second.opset = 17;
  second.inputs = {inner, body.add_constant("one", Tensor::scalar(1.0f))};
  second.outputs = {result};
  body.add_node(std::move(second));
  body.add_output(result);
  return std::make_shared<const Graph>(std::move(body).build());
}

Graph conditional(bool constant) {
  GraphSketch s;
  const ValueId x = s.input("x", {3});
  const ValueId y = s.input("y", {3});
  const ValueId condition = constant ? s.constant(Tensor::scalar(true)) : s.input("condition", {}, DType::boolean);
  const ValueId result =
      s.op("If", {condition}, {{"then_branch", branch("Exp", {3})}, {"else_branch", branch("Neg", {3})}});
  s.builder().node(*s.builder().producer(result)).captures = {x, y};  // else, then
  return s.build(s.op("Abs", {result}));
}

TEST(Resolve, if_on_a_constant_is_replaced_by_its_branch) {
  const Graph g = conditional(true);
  const Graph folded = resolved(g);
  EXPECT_THAT(ops_of(folded), ElementsAre("Exp", "Add", "Abs"));
  EXPECT_EQ(folded.node(0).inputs[0], folded.inputs()[1]);
  expect_equivalent(folded, g);
}

TEST(Resolve, if_on_an_input_stays) {
  const Graph g = conditional(false);
  const Graph folded = resolved(g);
  EXPECT_THAT(ops_of(folded), ElementsAre("If", "Abs"));
  expect_equivalent(folded, g);
}

TEST(Resolve, random_values_are_not_folded) {
  GraphSketch s;
  const ValueId r = s.op("RandomUniform", {}, {{"shape", std::vector<std::int64_t>{3}}});
  const Graph folded = resolved(s.build(s.op("Add", {s.input("x", {3}), r})));
  EXPECT_THAT(ops_of(folded), ElementsAre("RandomUniform", "Add"));
}

TEST(Resolve, dequantized_weights_become_numbers_unless_a_pass_wants_the_integers) {
  GraphSketch s;
  const ValueId w = s.constant(Tensor::of<std::int8_t>({2}, {1, -2}));
  const ValueId d = s.op("DequantizeLinear", {w, s.number(0.5f), s.constant(Tensor::scalar<std::int8_t>(0))});
  const Graph g = s.build(s.op("Add", {s.input("x", {2}), d}));
  EXPECT_THAT(ops_of(resolved(g)), ElementsAre("Add"));
  ReferenceEvaluator evaluator;
  ResolveOptions options;
  options.fold_dequantize = false;
  EXPECT_THAT(ops_of(fold_constants(g, evaluator, options)), ElementsAre("DequantizeLinear", "Add"));
}

TEST(Resolve, ten_thousand_nodes_take_well_under_a_second) {
  GraphSketch s;
  ValueId v = s.input("x", {8});
  const ValueId one = s.constant(Tensor::of<float>({8}, {1, 2, 3, 4, 5, 6, 7, 8}));
  for (int i = 0; i < 10000; ++i) v = s.op("Add", {v, one});
  const Graph g = s.build(v);
  ReferenceEvaluator evaluator;
  std::vector<PassReport> reports;
  const Graph loaded = optimize(g, evaluator, {}, &reports);
  const std::vector<Type> inputs{Type::tensor(DType::f32, Shape{8})};
  specialize(loaded, inputs, evaluator, {}, &reports);
  double total = 0;
  for (const PassReport& report : reports) total += report.ms;
  EXPECT_LT(total, 2000) << "passes are quadratic";
  RecordProperty("total_ms", std::to_string(total));
}

}  // namespace
}  // namespace sparse_run::reference
