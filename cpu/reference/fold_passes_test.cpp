// Tests of the passes that fold constants into weights: batch normalisation, scale, padding.
#include <gmock/gmock.h>

#include "cpu/reference/pass_check.hpp"
#include "graph/passes/passes.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::ElementsAre;

using Integers = std::vector<std::int64_t>;

Tensor weights(Shape shape) {
  static std::mt19937 random(7);
  return random_tensor(Type::tensor(DType::f32, std::move(shape)), random);
}

Tensor positive(Shape shape) {
  Tensor tensor = weights(std::move(shape));
  for (float& value : tensor.data<float>()) value = 0.5f + std::abs(value);
  return tensor;
}

ValueId batch_norm(GraphSketch& s, ValueId x, std::int64_t channels) {
  return s.op("BatchNormalization", {x, s.constant(weights({channels})), s.constant(weights({channels})),
                                     s.constant(weights({channels})), s.constant(positive({channels}))});
}

TEST(FoldBatchNorm, goes_into_a_convolution_with_or_without_bias) {
  for (const bool bias : {false, true}) {
    GraphSketch s;
    std::vector<ValueId> operands{s.input("x", {2, 4, 5, 5}), s.constant(weights({6, 2, 3, 3}))};
    if (bias) operands.push_back(s.constant(weights({6})));
    const ValueId y = s.op("Conv", operands, {{"group", std::int64_t{2}}, {"pads", Integers{1, 1, 1, 1}}});
    EXPECT_THAT(ops_of(after(make_fold_batch_norm(), s.build(batch_norm(s, y, 6)))), ElementsAre("Conv"));
  }
}

TEST(FoldBatchNorm, goes_into_a_grouped_transposed_convolution) {
  GraphSketch s;
  const ValueId y = s.op("ConvTranspose", {s.input("x", {1, 4, 3, 3}), s.constant(weights({4, 3, 2, 2}))},
                         {{"group", std::int64_t{2}}});
  EXPECT_THAT(ops_of(after(make_fold_batch_norm(), s.build(batch_norm(s, y, 6)))), ElementsAre("ConvTranspose"));
}

TEST(FoldBatchNorm, goes_into_a_gemm) {
  for (const std::int64_t transposed : {0, 1}) {
    GraphSketch s;
    const ValueId w = s.constant(weights(transposed ? Shape{5, 3} : Shape{3, 5}));
    const ValueId y = s.op("Gemm", {s.input("x", {2, 3}), w, s.constant(weights({5}))},
                           {{"transB", transposed}, {"alpha", 0.5f}, {"beta", 2.0f}});
    EXPECT_THAT(ops_of(after(make_fold_batch_norm(), s.build(batch_norm(s, y, 5)))), ElementsAre("Gemm"));
  }
}

TEST(FoldBatchNorm, goes_into_the_convolution_after_it_without_padding) {
  GraphSketch s;
  const ValueId x = s.op("Relu", {s.input("x", {2, 4, 5, 5})});
  const ValueId y =
      s.op("Conv", {batch_norm(s, x, 4), s.constant(weights({6, 2, 3, 3}))}, {{"group", std::int64_t{2}}});
  EXPECT_THAT(ops_of(after(make_fold_batch_norm(), s.build(y))), ElementsAre("Relu", "Conv"));
}

TEST(FoldBatchNorm, before_a_padded_convolution_it_becomes_product_and_sum) {
  GraphSketch s;
  const ValueId x = s.op("Relu", {s.input("x", {2, 4, 5, 5})});
  const ValueId y =
      s.op("Conv", {batch_norm(s, x, 4), s.constant(weights({6, 4, 3, 3}))}, {{"pads", Integers{1, 1, 1, 1}}});
  EXPECT_THAT(ops_of(after(make_fold_batch_norm(), s.build(y))), ElementsAre("Relu", "Mul", "Add", "Conv"));
}

TEST(FoldBatchNorm, a_convolution_that_others_read_keeps_its_weights) {
  GraphSketch s;
  const ValueId y = s.op("Conv", {s.input("x", {1, 3, 4, 4}), s.constant(weights({2, 3, 1, 1}))});
  s.output(s.op("Neg", {y}));
  const Graph g = after(make_fold_batch_norm(), s.build(batch_norm(s, y, 2)));
  EXPECT_EQ(std::ranges::count(ops_of(g), "Mul"), 1);
  EXPECT_EQ(g.nodes().size(), 4u);
}

TEST(FoldBatchNorm, a_convolution_that_is_an_output_keeps_its_weights) {
  GraphSketch s;
  const ValueId y = s.op("Conv", {s.input("x", {1, 3, 4, 4}), s.constant(weights({2, 3, 1, 1}))});
  s.output(y);
  EXPECT_THAT(ops_of(after(make_fold_batch_norm(), s.build(batch_norm(s, y, 2)))), ElementsAre("Conv", "Mul", "Add"));
}

TEST(FoldBatchNorm, sparse_weights_stay_sparse) {
  GraphSketch s;
  SparseTensor w;
  w.shape = {2, 3, 1, 1};
  w.values = Tensor::of<float>({2}, {2, 3});
  w.indices = Tensor::of<std::int64_t>({2}, {1, 5});
  const ValueId y = s.op("Conv", {s.input("x", {1, 3, 4, 4}), s.builder().add_constant("w", w)});
  const Graph g = after(make_fold_batch_norm(), s.build(batch_norm(s, y, 2)));
  ASSERT_THAT(ops_of(g), ElementsAre("Conv"));
  ASSERT_NE(g.value(g.node(0).inputs[1]).sparse(), nullptr);
  EXPECT_EQ(g.value(g.node(0).inputs[1]).sparse()->nnz(), 2);
}

TEST(FoldBatchNorm, an_infinite_scale_is_not_folded_into_zeros) {
  GraphSketch s;
  const ValueId y = s.op("Conv", {s.input("x", {1, 1, 2, 2}), s.constant(Tensor::of<float>({1, 1, 1, 1}, {0}))});
  const ValueId n = s.op("BatchNormalization",
                         {y, s.constant(Tensor::of<float>({1}, {INFINITY})), s.constant(Tensor::of<float>({1}, {0})),
                          s.constant(Tensor::of<float>({1}, {0})), s.constant(Tensor::of<float>({1}, {1}))});
  PassPipeline pipeline;
  pipeline.add(make_fold_batch_norm());
  EXPECT_THAT(ops_of(pipeline.run(resolved(s.build(n)))), ElementsAre("Conv", "Mul", "Add"));
}

TEST(FoldScale, channel_factors_and_summands_go_into_a_convolution) {
  GraphSketch s;
  ValueId y = s.op("Conv", {s.input("x", {1, 3, 4, 4}), s.constant(weights({2, 3, 3, 3}))});
  y = s.op("Mul", {s.constant(weights({2, 1, 1})), y});
  y = s.op("Add", {y, s.constant(weights({1, 2, 1, 1}))});
  y = s.op("Sub", {y, s.number(0.25f)});
  y = s.op("Div", {y, s.number(3)});
  EXPECT_THAT(ops_of(after(make_fold_scale(), s.build(y))), ElementsAre("Conv"));
}

TEST(FoldScale, factors_along_another_axis_stay) {
  GraphSketch s;
  ValueId y = s.op("Conv", {s.input("x", {1, 3, 4, 4}), s.constant(weights({4, 3, 1, 1}))});
  y = s.op("Mul", {y, s.constant(weights({4}))});
  EXPECT_THAT(ops_of(after(make_fold_scale(), s.build(y))), ElementsAre("Conv", "Mul"));
}

TEST(FoldScale, a_number_divided_by_the_result_stays) {
  GraphSketch s;
  ValueId y = s.op("MatMul", {s.input("x", {2, 3}), s.constant(positive({3, 4}))});
  y = s.op("Div", {s.number(1), s.op("Abs", {y})});
  EXPECT_THAT(ops_of(after(make_fold_scale(), s.build(y))), ElementsAre("MatMul", "Abs", "Div"));
}

TEST(FoldScale, column_factors_go_into_a_product) {
  GraphSketch s;
  ValueId y = s.op("MatMul", {s.input("x", {2, 3, 5}), s.constant(weights({5, 4}))});
  y = s.op("Mul", {y, s.constant(weights({4}))});
  EXPECT_THAT(ops_of(after(make_fold_scale(), s.build(y))), ElementsAre("MatMul"));
}

TEST(FoldPad, zero_padding_goes_into_the_convolution) {
  GraphSketch s;
  const ValueId x = s.op("Pad", {s.op("Relu", {s.input("x", {1, 2, 4, 4})}), s.integers({0, 0, 1, 0, 0, 0, 2, 3})});
  const ValueId y = s.op("Conv", {x, s.constant(weights({2, 2, 3, 3}))},
                         {{"pads", Integers{0, 1, 0, 1}}, {"strides", Integers{2, 1}}});
  const Graph g = after(make_fold_pad(), s.build(y));
  ASSERT_THAT(ops_of(g), ElementsAre("Relu", "Conv"));
  EXPECT_THAT(g.node(1).ints_or("pads"), ElementsAre(1, 1, 2, 4));
}

TEST(FoldPad, other_values_modes_and_axes_stay) {
  const auto kept = [](std::vector<std::int64_t> pads, float value, std::string mode) {
    GraphSketch s;
    const ValueId x = s.op("Pad", {s.input("x", {1, 2, 4, 4}), s.integers(std::move(pads)), s.number(value)},
                           {{"mode", std::move(mode)}});
    const Graph g = s.build(s.op("Conv", {x, s.constant(weights({2, 2, 1, 1}))}));
    return ops_of(after(make_fold_pad(), g)).size() == 2;
  };
  EXPECT_TRUE(kept({0, 0, 1, 1, 0, 0, 1, 1}, 0.5f, "constant"));
  EXPECT_TRUE(kept({0, 0, 1, 1, 0, 0, 1, 1}, 0, "reflect"));
  EXPECT_TRUE(kept({1, 0, 1, 1, 0, 0, 1, 1}, 0, "constant"));
  EXPECT_TRUE(kept({0, 0, -1, 0, 0, 0, 0, 0}, 0, "constant"));
  EXPECT_FALSE(kept({0, 0, 1, 1, 0, 0, 1, 1}, 0, "constant"));
}

/// Rows times weights, cut into four groups of 16, each times constants of shape `factors` and added up.
Graph scores(Shape factors, bool bias, std::int64_t keep, std::int64_t depth = 32, std::int64_t axis = -1) {
  GraphSketch s(13);
  std::vector<ValueId> operands{s.input("x", {16384, depth}), s.constant(weights({64, depth}))};
  if (bias) operands.push_back(s.constant(weights({64})));
  const ValueId wide = s.op("Gemm", operands, {{"transB", std::int64_t{1}}});
  const ValueId groups = s.op("Reshape", {wide, s.integers({16384, 4, 16})});
  const ValueId weighted = s.op("Mul", {s.constant(weights(std::move(factors))), groups});
  return s.build(s.op("ReduceSum", {weighted, s.integers({axis})}, {{"keepdims", keep}}));
}

TEST(FoldProjection, scores_of_groups_become_a_narrow_product) {
  for (const Shape& factors : {Shape{1, 4, 16}, Shape{4, 16}, Shape{4, 1}, Shape{16}, Shape{1, 1, 1}}) {
    EXPECT_THAT(ops_of(after(make_fold_projection(), scores(factors, false, 0))), ElementsAre("Gemm", "Reshape"));
  }
  EXPECT_THAT(ops_of(after(make_fold_projection(), scores({4, 16}, true, 1))), ElementsAre("Gemm", "Reshape"));
}

TEST(FoldProjection, leaves_what_would_not_gain_or_is_not_the_same) {
  const auto wide = ElementsAre("Gemm", "Reshape", "Mul", "ReduceSum");
  EXPECT_THAT(ops_of(after(make_fold_projection(), scores({4, 16}, false, 0, 65))), wide) << "a wider operand";
  EXPECT_THAT(ops_of(after(make_fold_projection(), scores({4, 16}, false, 0, 32, 1))), wide) << "another axis";
  EXPECT_THAT(ops_of(after(make_fold_projection(), scores({16384, 1, 1}, false, 0))), wide) << "factors per row";
}

}  // namespace
}  // namespace sparse_run::reference
