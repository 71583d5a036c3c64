// Tests of keeping activations channel by channel between products with sparse weights.
#include <gmock/gmock.h>

#include "cpu/reference/pass_check.hpp"
#include "graph/passes/passes.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

std::mt19937 source(5);

Tensor dense(Shape shape) { return random_tensor(Type::tensor(DType::f32, std::move(shape)), source); }

/// Every fifth element stays.
Tensor sparse(Shape shape) {
  Tensor tensor = dense(std::move(shape));
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    if (i % 5 != 0) tensor.data<float>()[static_cast<std::size_t>(i)] = 0;
  }
  return tensor;
}

GraphSketch::Attributes heads(std::int64_t count) { return {{"num_heads", count}, {"scale", 0.5f}}; }

Graph rewritten(const Graph& graph) { return after(make_tokens_as_lanes(), graph); }

TEST(TokensAsLanes, a_chain_is_transposed_once_at_each_end) {
  GraphSketch s;
  const ValueId x = s.input("x", {2, 8, 6});
  const ValueId a = s.op("FusedMatMul", {x, s.constant(sparse({6, 10})), s.constant(dense({10}))},
                         {{"activation", std::string("Gelu")}}, kInternalDomain);
  const ValueId n = s.op("LayerNormalization", {a, s.constant(dense({10})), s.constant(dense({10}))});
  const ValueId b =
      s.op("FusedMatMul", {n, s.constant(sparse({7, 10}))}, {{"transB", std::int64_t{1}}}, kInternalDomain);
  EXPECT_THAT(ops_of(rewritten(s.build(b))), ElementsAre("Reshape", "Transpose", "FusedMatMul", "ChannelNormalization",
                                                         "FusedMatMul", "Transpose", "Reshape"));
}

TEST(TokensAsLanes, residuals_are_read_as_lanes_and_outputs_within_the_chain_keep_their_names) {
  GraphSketch s;
  const ValueId x = s.input("x", {1, 16, 8});
  const ValueId a = s.op("Relu", {s.op("MatMul", {x, s.constant(sparse({8, 8}))})});
  const ValueId b = s.op("FusedMatMul", {a, s.constant(sparse({8, 8})), kNoValue, x}, {}, kInternalDomain);
  s.output(a);
  const Graph g = rewritten(s.build(b));
  EXPECT_THAT(ops_of(g), Not(Contains("MatMul")));
  EXPECT_EQ(std::ranges::count(ops_of(g), "Transpose"), 3);
}

TEST(TokensAsLanes, attention_of_several_batches_with_a_mask_is_part_of_a_chain) {
  for (const Shape& mask : {Shape{3, 1, 1, 7}, Shape{7, 7}, Shape{3, 2, 7, 7}}) {
    GraphSketch s;
    const ValueId x = s.input("x", {3, 7, 8});
    std::vector<ValueId> operands;
    for (int i = 0; i < 3; ++i) operands.push_back(s.op("MatMul", {x, s.constant(sparse({8, 8}))}));
    operands.push_back(s.input("mask", mask));
    const ValueId mixed = s.op("MultiHeadAttention", operands, heads(2), kInternalDomain);
    const Graph g = rewritten(s.build(s.op("MatMul", {mixed, s.constant(sparse({8, 5}))})));
    EXPECT_THAT(ops_of(g), Contains("ChannelAttention"));
  }
}

TEST(TokensAsLanes, attention_over_an_operand_from_elsewhere_stays) {
  GraphSketch s;
  const ValueId x = s.input("x", {1, 16, 8});
  const ValueId q = s.op("MatMul", {x, s.constant(sparse({8, 8}))});
  const ValueId mixed =
      s.op("MultiHeadAttention", {q, s.input("k", {1, 9, 8}), s.input("v", {1, 9, 8})}, heads(2), kInternalDomain);
  const Graph g = s.build(s.op("MatMul", {mixed, s.constant(sparse({8, 5}))}));
  EXPECT_THAT(ops_of(rewritten(g)), ElementsAre("MatMul", "MultiHeadAttention", "MatMul"));
}

TEST(TokensAsLanes, reshapes_that_keep_channels_and_sums_of_two_branches_are_passed) {
  GraphSketch s;
  const ValueId x = s.input("x", {2, 9, 6});
  const ValueId a = s.op("MatMul", {x, s.constant(sparse({6, 6}))});
  const ValueId b = s.op("MatMul", {x, s.constant(sparse({6, 6}))});
  const ValueId sum = s.op("Reshape", {s.op("Add", {a, b}), s.integers({18, 6})});
  const ValueId y = s.op("Gemm", {sum, s.constant(sparse({6, 4})), s.constant(dense({4}))});
  EXPECT_THAT(ops_of(rewritten(s.build(y))), Not(Contains("Gemm")));
}

TEST(TokensAsLanes, lonely_dense_and_small_products_stay) {
  const auto chain = [](const Shape& x, bool first_dense, bool second_dense) {
    GraphSketch s;
    const auto weights = [&](bool is_dense) { return s.constant(is_dense ? dense({6, 6}) : sparse({6, 6})); };
    const ValueId a = s.op("MatMul", {s.input("x", x), weights(first_dense)});
    return ops_of(rewritten(s.build(s.op("MatMul", {a, weights(second_dense)}))));
  };
  EXPECT_THAT(chain({16, 6}, false, true), ElementsAre("MatMul", "MatMul"));
  EXPECT_THAT(chain({16, 6}, true, true), ElementsAre("MatMul", "MatMul"));
  EXPECT_THAT(chain({11, 6}, false, false), ElementsAre("MatMul", "MatMul"));
  EXPECT_THAT(chain({12, 6}, false, false), Not(Contains("MatMul")));
}

TEST(TokensAsLanes, biases_that_are_computed_and_factors_stay) {
  GraphSketch s;
  const ValueId x = s.input("x", {16, 6});
  const ValueId a = s.op("MatMul", {x, s.constant(sparse({6, 6}))});
  const ValueId b = s.op("Gemm", {a, s.constant(sparse({6, 6})), s.input("bias", {6})});
  const ValueId c = s.op("Gemm", {b, s.constant(sparse({6, 6})), s.constant(dense({6}))}, {{"alpha", 2.0f}});
  EXPECT_THAT(ops_of(rewritten(s.build(c))), ElementsAre("MatMul", "Gemm", "Gemm"));
}

}  // namespace
}  // namespace sparse_run::reference
