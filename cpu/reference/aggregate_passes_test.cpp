// recognise-aggregate: every spelling of sums over edges, what is taken along, and what has to stay.
#include <gmock/gmock.h>

#include <functional>
#include <random>

#include "cpu/reference/pass_check.hpp"
#include "graph/ops/aggregate.hpp"
#include "graph/ops/fused_activation.hpp"
#include "graph/passes/passes.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Integers = std::vector<std::int64_t>;

constexpr std::int64_t kNodes = 4;  // random integers of inputs are in [0, 4)
constexpr std::int64_t kEdges = 9;
const auto kAggregate = ElementsAre("SparseAggregate");

/// Inputs of a graph network and the steps from them.
struct Network {
  GraphSketch s{18};
  ValueId x = s.input("x", {kNodes, 6});
  ValueId source = s.input("source", {kEdges}, DType::i64);
  ValueId target = s.input("target", {kEdges}, DType::i64);

  ValueId gather(ValueId data, ValueId by) { return s.op("Gather", {data, by}, {{"axis", std::int64_t{0}}}); }
  ValueId filled(Shape shape, float value) {
    Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
    std::ranges::fill(tensor.data<float>(), value);
    return s.constant(std::move(tensor));
  }
  ValueId column(ValueId list) { return s.op("Unsqueeze", {list, s.integers({1})}); }
  ValueId repeated(ValueId list, Integers row) {
    Integers shape = {kEdges};
    Integers ones = {-1};
    for (const std::int64_t dim : row) {
      shape.push_back(dim);
      ones.push_back(1);
    }
    return s.op("Expand", {s.op("Reshape", {list, s.integers(ones)}), s.integers(shape)});
  }
  ValueId scatter(ValueId messages, Integers row, std::string reduction = "add", float initial = 0) {
    Shape shape = {kNodes};
    shape.insert(shape.end(), row.begin(), row.end());
    return s.op("ScatterElements", {filled(shape, initial), row.empty() ? target : repeated(target, row), messages},
                {{"axis", std::int64_t{0}}, {"reduction", reduction}});
  }
  Graph recognised(ValueId result) { return after(make_recognise_aggregate(), s.build(result)); }
};

TEST(RecogniseAggregate, gather_and_scatter) {
  Network n;
  const Graph g = n.recognised(n.scatter(n.gather(n.x, n.source), {6}));
  ASSERT_THAT(ops_of(g), kAggregate);
  const Aggregate aggregate = Aggregate::of(g.node(0));
  EXPECT_EQ(aggregate.message.steps.size(), 1u);
  EXPECT_EQ(aggregate.nodes(), kNodes);
}

TEST(RecogniseAggregate, maximum_and_minimum_with_any_initial_value) {
  for (const char* reduction : {"max", "min"}) {
    for (const float initial : {0.0f, -0.5f}) {
      Network n;
      EXPECT_THAT(ops_of(n.recognised(n.scatter(n.gather(n.x, n.source), {6}, reduction, initial))), kAggregate);
    }
  }
}

TEST(RecogniseAggregate, scatter_nd_and_gather_nd) {
  Network n;
  const ValueId messages = n.s.op("GatherND", {n.x, n.column(n.source)});
  EXPECT_THAT(ops_of(n.recognised(n.s.op("ScatterND", {n.filled({kNodes, 6}, 0), n.column(n.target), messages},
                                         {{"reduction", std::string("add")}}))),
              ElementsAre("SparseAggregate"));
}

TEST(RecogniseAggregate, indices_repeated_by_tile_and_rows_gathered_by_element) {
  Network n;
  const ValueId messages = n.s.op("GatherElements", {n.x, n.repeated(n.source, {6})}, {{"axis", std::int64_t{0}}});
  const ValueId index = n.s.op("Tile", {n.column(n.target), n.s.integers({1, 6})});
  EXPECT_THAT(ops_of(n.recognised(n.s.op("ScatterElements", {n.filled({kNodes, 6}, 0), index, messages},
                                         {{"axis", std::int64_t{-2}}, {"reduction", std::string("add")}}))),
              kAggregate);
}

TEST(RecogniseAggregate, constant_indices) {
  Network n;
  const ValueId source = n.s.integers({3, 1, 0});
  const ValueId index =
      n.s.op("Expand", {n.s.constant(Tensor::of<std::int64_t>({3, 1}, {0, -1, 0})), n.s.integers({3, 6})});
  EXPECT_THAT(ops_of(n.recognised(n.s.op("ScatterElements", {n.filled({kNodes, 6}, 0), index, n.gather(n.x, source)},
                                         {{"reduction", std::string("add")}}))),
              kAggregate);
}

TEST(RecogniseAggregate, weights_and_functions_of_both_ends) {
  Network n;
  const ValueId weight = n.s.input("weight", {kEdges});
  const ValueId both = n.s.op("Add", {n.gather(n.x, n.source), n.gather(n.x, n.target)});
  const ValueId messages = n.s.op("Mul", {n.column(weight), n.s.op("Sigmoid", {both})});
  EXPECT_THAT(ops_of(n.recognised(n.scatter(messages, {6}))), kAggregate);
}

TEST(RecogniseAggregate, a_mean_takes_the_division_along) {
  Network n;
  const ValueId total = n.scatter(n.gather(n.x, n.source), {6});
  const ValueId count = n.s.op("Clip", {n.scatter(n.filled({kEdges}, 1), {}), n.s.number(1)});
  const ValueId mean = n.s.op("Div", {total, n.s.op("Expand", {n.column(count), n.s.integers({kNodes, 6})})});
  EXPECT_THAT(ops_of(n.recognised(mean)), ElementsAre("SparseAggregate", "SparseAggregate"));
}

TEST(RecogniseAggregate, bias_and_activation_are_taken_along_in_their_order) {
  Network n;
  const ValueId sum = n.scatter(n.gather(n.x, n.source), {6});
  const ValueId y = n.s.op("Sub", {n.filled({6}, 1), n.s.op("Add", {sum, n.s.op("Neg", {n.x})})});
  EXPECT_THAT(ops_of(n.recognised(n.s.op("LeakyRelu", {y}, {{"alpha", 0.2f}}))), kAggregate);
}

TEST(RecogniseAggregate, rows_added_to_existing_ones) {
  Network n;
  const ValueId sum = n.s.op("ScatterElements", {n.x, n.repeated(n.target, {6}), n.gather(n.x, n.source)},
                             {{"reduction", std::string("max")}});
  EXPECT_THAT(ops_of(n.recognised(sum)), kAggregate);
}

TEST(RecogniseAggregate, attention_by_heads_stores_nothing_per_edge) {
  Network n;
  const ValueId x = n.s.op("Reshape", {n.x, n.s.integers({kNodes, 3, 2})});
  const ValueId left = n.s.input("left", {kNodes, 3});
  const ValueId right = n.s.input("right", {kNodes, 3});
  const ValueId score =
      n.s.op("LeakyRelu", {n.s.op("Add", {n.gather(left, n.source), n.gather(right, n.target)})}, {{"alpha", 0.2f}});
  const ValueId largest = n.scatter(score, {3}, "max", -1e30f);
  const ValueId part = n.s.op("Exp", {n.s.op("Sub", {score, n.gather(largest, n.target)})});
  const ValueId total = n.s.op("Add", {n.scatter(part, {3}), n.s.number(1e-16f)});
  const ValueId share = n.s.op("Div", {part, n.gather(total, n.target)});
  const ValueId messages = n.s.op("Mul", {n.s.op("Unsqueeze", {share, n.s.integers({-1})}), n.gather(x, n.source)});
  const ValueId y = n.s.op("Reshape", {n.scatter(messages, {3, 2}), n.s.integers({kNodes, 6})});
  EXPECT_THAT(ops_of(n.recognised(y)), ElementsAre("Reshape", "SparseAggregate", "SparseAggregate", "SparseAggregate"));
}

TEST(RecogniseAggregate, a_message_that_is_an_output_is_read_and_not_computed_twice) {
  Network n;
  const ValueId messages = n.s.op("Relu", {n.gather(n.x, n.source)});
  n.s.output(messages);
  EXPECT_THAT(ops_of(n.recognised(n.scatter(messages, {6}))), ElementsAre("Gather", "Relu", "SparseAggregate"));
}

TEST(RecogniseAggregate, long_messages_are_cut) {
  Network n;
  ValueId messages = n.gather(n.x, n.source);
  for (int i = 0; i < 100; ++i) messages = n.s.op("Sigmoid", {n.s.op("Add", {messages, n.gather(n.x, n.target)})});
  const Graph g = n.recognised(n.scatter(messages, {6}));
  EXPECT_THAT(ops_of(g), Contains("SparseAggregate"));
  EXPECT_THAT(ops_of(g), Contains("Sigmoid"));
}

TEST(RecogniseAggregate, a_constant_sparse_matrix) {
  GraphSketch s(18);
  const ValueId x = s.input("x", {4, 3});
  SparseTensor matrix{{5, 4}, Tensor::of<float>({3}, {1, 2, -3}), Tensor::of<std::int64_t>({3}, {1, 7, 18})};
  const ValueId a = s.builder().add_constant("a", std::move(matrix));
  EXPECT_THAT(ops_of(after(make_recognise_aggregate(), s.build(s.op("MatMul", {a, x})))), kAggregate);
}

/// Sums over edges of wide rows, enough of them for their products to be computed in blocks.
struct WideNetwork {
  static constexpr std::int64_t kMany = 8200;
  GraphSketch s{18};
  ValueId x = s.input("x", {kMany, 128});
  ValueId index = s.input("index", {7}, DType::i64);

  ValueId weights(std::int64_t rows, std::int64_t columns) {
    std::mt19937 random(static_cast<unsigned>(rows * 1000 + columns));
    return s.constant(random_tensor(Type::tensor(DType::f32, Shape{rows, columns}), random));
  }
  ValueId sum() {
    Aggregate aggregate;
    aggregate.shape = {kMany, 128};
    aggregate.width = 128;
    aggregate.roles = {Aggregate::index, 0};
    aggregate.spans = {0, aggregate.full()};
    aggregate.message.push(RowExpression::Op::operand, 1);
    Node node;
    aggregate.store(node);
    return s.op("SparseAggregate", {index, x}, node.attributes, kInternalDomain);
  }
  /// A product as fuse-product leaves it.
  ValueId product(ValueId a, ValueId b, ValueId bias, ValueId residual, std::string activation) {
    std::vector<ValueId> operands = {a, b, bias, residual};
    while (operands.back() == kNoValue) operands.pop_back();
    return s.op("FusedMatMul", operands, {{"activation", std::move(activation)}}, kInternalDomain);
  }
};

TEST(FuseAggregate, products_one_after_the_other) {
  WideNetwork n;
  const ValueId hidden = n.product(n.sum(), n.weights(128, 3), n.weights(1, 3), kNoValue, "Relu");
  const Graph g = after(make_fuse_aggregate(), n.s.build(n.s.op("MatMul", {hidden, n.weights(3, 5)})));
  EXPECT_THAT(ops_of(g), ElementsAre("AggregateChain"));
}

TEST(FuseAggregate, a_product_of_other_rows_that_the_sum_is_added_to) {
  WideNetwork n;
  const ValueId left = n.product(n.sum(), n.weights(128, 3), kNoValue, kNoValue, "");
  const Graph g =
      after(make_fuse_aggregate(), n.s.build(n.product(n.x, n.weights(128, 3), n.weights(1, 3), left, "Tanh")));
  EXPECT_THAT(ops_of(g), ElementsAre("AggregateChain"));
}

TEST(FuseAggregate, a_sum_that_is_read_twice_stays) {
  WideNetwork n;
  const ValueId sum = n.sum();
  n.s.output(sum);
  const Graph g = after(make_fuse_aggregate(), n.s.build(n.s.op("MatMul", {sum, n.weights(128, 3)})));
  EXPECT_THAT(ops_of(g), ElementsAre("SparseAggregate", "MatMul"));
}

TEST(FuseAggregate, weights_of_zeros_and_weights_that_are_computed_stay) {
  for (const bool constant : {true, false}) {
    WideNetwork n;
    const ValueId weights = constant ? n.s.constant(Tensor::of<float>({128, 1}, std::vector<float>(128, 0.0f)))
                                     : n.s.input("weights", {128, 1});
    const Graph g = after(make_fuse_aggregate(), n.s.build(n.s.op("MatMul", {n.sum(), weights})));
    EXPECT_THAT(ops_of(g), ElementsAre("SparseAggregate", "MatMul"));
  }
}

/// The reason that recognise-aggregate leaves for the only scatter of a graph.
std::string reason_of(const Graph& graph) {
  for (const Node& node : graph.nodes()) {
    if (node.is("ScatterElements") || node.is("ScatterND")) return node.string_or("not_aggregated", "");
  }
  return "no scatter is left";
}

TEST(RecogniseAggregate, says_why_a_scatter_stays) {
  const std::string add = "add";
  {
    Network n;
    const ValueId index = n.s.input("index", {kEdges, 6}, DType::i64);
    const Graph g = n.recognised(
        n.s.op("ScatterElements", {n.filled({kNodes, 6}, 0), index, n.gather(n.x, n.source)}, {{"reduction", add}}));
    EXPECT_THAT(reason_of(g), HasSubstr("may differ within a row"));
  }
  {
    Network n;
    EXPECT_THAT(reason_of(n.recognised(n.scatter(n.gather(n.x, n.source), {6}, "mul", 1))), HasSubstr("mul"));
  }
  {
    Network n;
    const ValueId updates = n.s.input("updates", {4, kEdges});
    const ValueId index = n.s.input("index", {4, kEdges}, DType::i64);
    const Graph g = n.recognised(n.s.op("ScatterElements", {n.filled({4, 4}, 0), index, updates},
                                        {{"axis", std::int64_t{1}}, {"reduction", add}}));
    EXPECT_THAT(reason_of(g), HasSubstr("whole rows"));
  }
  {
    Network n;
    const ValueId updates = n.s.op("Cast", {n.gather(n.x, n.source)}, {{"to", std::int64_t{11}}});
    Tensor zeros = Tensor::of<double>({4, 6}, std::vector<double>(24, 0.0));
    const Graph g = n.recognised(n.s.op(
        "ScatterElements", {n.s.constant(std::move(zeros)), n.repeated(n.target, {6}), updates}, {{"reduction", add}}));
    EXPECT_THAT(reason_of(g), HasSubstr("f64"));
  }
}

/// Σ weight · (x W) for x of 6 elements and rows of `width` of them, then what `finish` adds.
Graph sum_of_products(std::int64_t width, const std::function<ValueId(Network&, ValueId)>& finish,
                      const char* product = "MatMul") {
  Network n;
  std::mt19937 random(4);
  const bool transposed = std::string_view(product) == "Gemm";
  const Shape shape = transposed ? Shape{width, 6} : Shape{6, width};
  const ValueId weights = n.s.constant(random_tensor(Type::tensor(DType::f32, shape), random));
  const ValueId multiplied =
      n.s.op(product, {n.x, weights},
             transposed ? GraphSketch::Attributes{{"transB", std::int64_t{1}}} : GraphSketch::Attributes{});
  const ValueId scale = n.s.input("scale", {kEdges});
  const ValueId messages = n.s.op("Mul", {n.gather(multiplied, n.source), n.column(scale)});
  return n.recognised(finish(n, n.scatter(messages, {width})));
}

ValueId nothing(Network&, ValueId sum) { return sum; }

TEST(MultiplyAfterSums, products_move_behind_sums_of_rows_that_are_narrower_before) {
  for (const char* product : {"MatMul", "Gemm"}) {
    const Graph g = after(make_multiply_after_sums(), sum_of_products(9, nothing, product));
    ASSERT_THAT(ops_of(g), ElementsAre("SparseAggregate", "FusedMatMul"));
    EXPECT_EQ(Aggregate::of(g.node(0)).width, 6);
  }
}

TEST(MultiplyAfterSums, biases_and_activations_go_with_the_product) {
  const auto finish = [](Network& n, ValueId sum) {
    std::mt19937 random(5);
    const ValueId bias = n.s.constant(random_tensor(Type::tensor(DType::f32, Shape{9}), random));
    return n.s.op("Relu", {n.s.op("Add", {sum, bias})});
  };
  const Graph g = after(make_multiply_after_sums(), sum_of_products(9, finish));
  ASSERT_THAT(ops_of(g), ElementsAre("SparseAggregate", "FusedMatMul"));
  EXPECT_TRUE(Aggregate::of(g.node(0)).tail.steps.empty());
  EXPECT_EQ(FusedActivation::of(g.node(1)).kind, FusedActivation::Kind::relu);
}

TEST(MultiplyAfterSums, rows_that_are_wider_before_and_small_ones_of_the_same_width_stay) {
  for (const std::int64_t width : {4, 6}) {
    const Graph g = after(make_multiply_after_sums(), sum_of_products(width, nothing));
    EXPECT_THAT(ops_of(g), ElementsAre("MatMul", "SparseAggregate"));
  }
}

TEST(MultiplyAfterSums, what_is_not_linear_in_the_product_stays) {
  for (const char* op : {"Relu", "Tanh"}) {  // of the message
    Network n;
    std::mt19937 random(6);
    const ValueId weights = n.s.constant(random_tensor(Type::tensor(DType::f32, Shape{6, 9}), random));
    const ValueId message = n.s.op(op, {n.gather(n.s.op("MatMul", {n.x, weights}), n.source)});
    const Graph g = after(make_multiply_after_sums(), n.recognised(n.scatter(message, {9})));
    EXPECT_THAT(ops_of(g), ElementsAre("MatMul", "SparseAggregate"));
  }
  // A tail that divides by a row of every node is no bias.
  const auto finish = [](Network& n, ValueId sum) { return n.s.op("Div", {sum, n.s.input("degree", {kNodes, 1})}); };
  EXPECT_THAT(ops_of(after(make_multiply_after_sums(), sum_of_products(9, finish))),
              ElementsAre("MatMul", "SparseAggregate"));
}

TEST(MultiplyAfterSums, maxima_of_products_stay) {
  Network n;
  std::mt19937 random(6);
  const ValueId weights = n.s.constant(random_tensor(Type::tensor(DType::f32, Shape{6, 9}), random));
  const ValueId message = n.gather(n.s.op("MatMul", {n.x, weights}), n.source);
  const Graph g = after(make_multiply_after_sums(), n.recognised(n.scatter(message, {9}, "max")));
  EXPECT_THAT(ops_of(g), ElementsAre("MatMul", "SparseAggregate"));
}

}  // namespace
}  // namespace sparse_run::reference
