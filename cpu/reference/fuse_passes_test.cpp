// Tests of fusing convolutions and products with what surrounds them.
#include <gmock/gmock.h>

#include "cpu/reference/pass_check.hpp"
#include "graph/passes/passes.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::ElementsAre;

using Integers = std::vector<std::int64_t>;

Tensor weights(Shape shape) {
  static std::mt19937 random(11);
  return random_tensor(Type::tensor(DType::f32, std::move(shape)), random);
}

TEST(FuseConvolution, every_activation_with_a_fast_form) {
  struct Case {
    std::string op;
    int opset;
    GraphSketch::Attributes attributes;
    std::string fused;
  };
  for (const Case& one : {Case{"Relu", 17, {}, "Relu"}, Case{"LeakyRelu", 17, {{"alpha", 0.2f}}, "LeakyRelu"},
                          Case{"HardSwish", 17, {}, "HardSwish"}, Case{"Sigmoid", 17, {}, "Sigmoid"},
                          Case{"Tanh", 17, {}, "Tanh"}, Case{"Swish", 24, {}, "Silu"}, Case{"Gelu", 24, {}, "Gelu"}}) {
    GraphSketch s(one.opset);
    const ValueId y = s.op("Conv", {s.input("x", {1, 3, 4, 4}), s.constant(weights({2, 3, 3, 3}))});
    const Graph g = after(make_fuse_convolution(), s.build(s.op(one.op, {y}, one.attributes)));
    ASSERT_THAT(ops_of(g), ElementsAre("FusedConv")) << one.op;
    EXPECT_EQ(g.node(0).string_or("activation", ""), one.fused);
  }
}

TEST(FuseConvolution, clip_with_constant_bounds) {
  GraphSketch s;
  const ValueId y =
      s.op("Conv", {s.input("x", {1, 3, 4, 4}), s.constant(weights({2, 3, 3, 3})), s.constant(weights({2}))},
           {{"pads", Integers{1, 1, 1, 1}}, {"strides", Integers{2, 2}}});
  const Graph g = after(make_fuse_convolution(), s.build(s.op("Clip", {y, s.number(0), s.number(0.5f)})));
  ASSERT_THAT(ops_of(g), ElementsAre("FusedConv"));
  EXPECT_THAT(g.node(0).floats_or("activation_parameters"), ElementsAre(0, 0.5f));
}

TEST(FuseConvolution, clip_with_computed_bounds_stays) {
  GraphSketch s;
  const ValueId y = s.op("Conv", {s.input("x", {1, 3, 4, 4}), s.constant(weights({2, 3, 3, 3}))});
  const Graph g = s.build(s.op("Clip", {y, s.input("low", {})}));
  EXPECT_THAT(ops_of(after(make_fuse_convolution(), g)), ElementsAre("Conv", "Clip"));
}

TEST(FuseConvolution, the_later_of_two_convolutions_takes_the_sum) {
  GraphSketch s;
  const ValueId x = s.input("x", {1, 3, 4, 4});
  const ValueId shortcut = s.op("Conv", {x, s.constant(weights({2, 3, 1, 1}))});
  const ValueId main = s.op("Conv", {x, s.constant(weights({2, 3, 3, 3}))}, {{"pads", Integers{1, 1, 1, 1}}});
  const Graph g = after(make_fuse_convolution(), s.build(s.op("Relu", {s.op("Add", {main, shortcut})})));
  ASSERT_THAT(ops_of(g), ElementsAre("Conv", "FusedConv"));
  ASSERT_EQ(g.node(1).inputs.size(), 4u);
  EXPECT_EQ(g.node(1).inputs[2], kNoValue);
  EXPECT_EQ(g.node(1).inputs[3], g.node(0).outputs[0]);
  EXPECT_EQ(g.value(g.node(1).inputs[1]).type.shape, (Shape{2, 3, 3, 3}));
}

TEST(FuseConvolution, a_sum_that_broadcasts_stays) {
  GraphSketch s;
  const ValueId y = s.op("Conv", {s.input("x", {1, 3, 4, 4}), s.constant(weights({2, 3, 1, 1}))});
  const Graph g = s.build(s.op("Add", {y, s.input("r", {1, 2, 1, 1})}));
  EXPECT_THAT(ops_of(after(make_fuse_convolution(), g)), ElementsAre("Conv", "Add"));
}

TEST(FuseConvolution, a_result_added_to_itself_stays) {
  GraphSketch s;
  const ValueId y = s.op("Conv", {s.input("x", {1, 3, 4, 4}), s.constant(weights({2, 3, 1, 1}))});
  EXPECT_THAT(ops_of(after(make_fuse_convolution(), s.build(s.op("Add", {y, y})))), ElementsAre("Conv", "Add"));
}

TEST(FuseConvolution, a_result_that_others_read_or_that_is_an_output_stays) {
  for (const bool output : {false, true}) {
    GraphSketch s;
    const ValueId y = s.op("Conv", {s.input("x", {1, 3, 4, 4}), s.constant(weights({2, 3, 1, 1}))});
    s.output(output ? y : s.op("Neg", {y}));
    const Graph g = after(make_fuse_convolution(), s.build(s.op("Relu", {y})));
    EXPECT_EQ(g.node(0).op, "Conv");
  }
}

TEST(FuseProduct, bias_residual_and_activation) {
  GraphSketch s;
  const ValueId x = s.input("x", {2, 3, 5});
  ValueId y = s.op("MatMul", {x, s.constant(weights({5, 4}))});
  y = s.op("Mul", {y, s.number(0.5f)});
  y = s.op("Add", {s.constant(weights({4})), y});
  y = s.op("Add", {y, s.op("Neg", {s.input("r", {2, 3, 4})})});
  const Graph g = after(make_fuse_product(), s.build(s.op("Relu", {y})));
  ASSERT_THAT(ops_of(g), ElementsAre("Neg", "FusedMatMul"));
  EXPECT_EQ(g.node(1).inputs.size(), 4u);
  EXPECT_FLOAT_EQ(g.node(1).float_or("alpha", 0), 0.5f);
}

TEST(FuseProduct, gemm_with_activation) {
  GraphSketch s;
  const ValueId y = s.op("Gemm", {s.input("x", {2, 3}), s.constant(weights({4, 3})), s.constant(weights({4}))},
                         {{"transB", std::int64_t{1}}, {"alpha", 2.0f}});
  EXPECT_THAT(ops_of(after(make_fuse_product(), s.build(s.op("Tanh", {y})))), ElementsAre("FusedMatMul"));
}

TEST(FuseProduct, gemm_with_a_column_of_summands_stays) {
  GraphSketch s;
  const ValueId y = s.op("Gemm", {s.input("x", {2, 3}), s.constant(weights({3, 4})), s.constant(weights({2, 1}))});
  EXPECT_THAT(ops_of(after(make_fuse_product(), s.build(s.op("Tanh", {y})))), ElementsAre("Gemm", "Tanh"));
}

TEST(FuseProduct, gemm_alone_stays) {
  GraphSketch s;
  const ValueId y = s.op("Gemm", {s.input("x", {2, 3}), s.constant(weights({3, 4}))});
  EXPECT_THAT(ops_of(after(make_fuse_product(), s.build(y))), ElementsAre("Gemm"));
}

TEST(FuseProduct, a_transposed_operand_is_read_in_place) {
  GraphSketch s;
  const ValueId a = s.input("a", {2, 5, 3});
  const ValueId b = s.op("Transpose", {s.input("b", {2, 4, 5})}, {{"perm", Integers{0, 2, 1}}});
  const ValueId at = s.op("Transpose", {a}, {{"perm", Integers{0, 2, 1}}});
  const Graph g = after(make_fuse_product(), s.build(s.op("MatMul", {at, b})));
  ASSERT_THAT(ops_of(g), ElementsAre("FusedMatMul"));
  EXPECT_EQ(g.node(0).int_or("transA", 0), 1);
  EXPECT_EQ(g.node(0).int_or("transB", 0), 1);
}

TEST(FuseProduct, a_transpose_of_other_dimensions_stays) {
  GraphSketch s;
  const ValueId b = s.op("Transpose", {s.input("b", {5, 2, 4})}, {{"perm", Integers{1, 0, 2}}});
  const Graph g = after(make_fuse_product(), s.build(s.op("MatMul", {s.input("a", {2, 3, 5}), b})));
  EXPECT_THAT(ops_of(g), ElementsAre("Transpose", "MatMul"));
}

TEST(FuseProduct, a_factor_after_the_bias_stays) {
  GraphSketch s;
  ValueId y = s.op("MatMul", {s.input("x", {3, 5}), s.constant(weights({5, 4}))});
  y = s.op("Add", {y, s.constant(weights({4}))});
  EXPECT_THAT(ops_of(after(make_fuse_product(), s.build(s.op("Mul", {y, s.number(2)})))),
              ElementsAre("FusedMatMul", "Mul"));
}

TEST(FuseProduct, a_summand_that_enlarges_the_result_stays) {
  GraphSketch s;
  const ValueId y = s.op("MatMul", {s.input("x", {1, 5}), s.constant(weights({5, 4}))});
  EXPECT_THAT(ops_of(after(make_fuse_product(), s.build(s.op("Add", {y, s.input("r", {3, 4})})))),
              ElementsAre("MatMul", "Add"));
}

TEST(FuseProduct, one_row_with_a_column_bias) {
  GraphSketch s;
  const ValueId y = s.op("MatMul", {s.input("x", {1, 5}), s.constant(weights({5, 4}))});
  EXPECT_THAT(ops_of(after(make_fuse_product(), s.build(s.op("Add", {y, s.constant(weights({4}))})))),
              ElementsAre("FusedMatMul"));
}

TEST(FuseProduct, a_product_with_a_vector_stays) {
  GraphSketch s;
  const ValueId y = s.op("MatMul", {s.input("x", {3, 5}), s.constant(weights({5}))});
  EXPECT_THAT(ops_of(after(make_fuse_product(), s.build(s.op("Relu", {y})))), ElementsAre("MatMul", "Relu"));
}

}  // namespace
}  // namespace sparse_run::reference
