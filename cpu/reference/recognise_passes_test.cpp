// Tests of recognising activations, layer normalisation and attention in primitives.
#include <gmock/gmock.h>

#include "cpu/reference/pass_check.hpp"
#include "graph/passes/passes.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

using Integers = std::vector<std::int64_t>;

Graph activation_after(GraphSketch& s, ValueId result) { return after(make_recognise_activation(), s.build(result)); }

TEST(RecogniseActivation, gelu_in_any_order_of_factors) {
  for (int order = 0; order < 4; ++order) {
    GraphSketch s;
    const ValueId x = s.op("Neg", {s.input("x", {2, 3})});
    const ValueId scaled =
        order % 2 == 0 ? s.op("Div", {x, s.number(1.41421356f)}) : s.op("Mul", {s.number(0.70710678f), x});
    const ValueId gate = s.op("Add", {s.op("Erf", {scaled}), s.number(1)});
    ValueId y = kNoValue;
    if (order == 0) y = s.op("Mul", {s.op("Mul", {x, gate}), s.number(0.5f)});
    if (order == 1) y = s.op("Mul", {s.op("Mul", {x, s.number(0.5f)}), gate});
    if (order == 2) y = s.op("Mul", {x, s.op("Mul", {s.number(0.5f), gate})});
    if (order == 3) y = s.op("Div", {s.op("Mul", {gate, x}), s.number(2)});
    EXPECT_THAT(ops_of(activation_after(s, y)), ElementsAre("Neg", "Gelu")) << "order " << order;
  }
}

TEST(RecogniseActivation, gelu_with_tanh) {
  GraphSketch s;
  const ValueId x = s.op("Neg", {s.input("x", {2, 3})});
  const ValueId cube = s.op("Pow", {x, s.number(3)});
  const ValueId inner =
      s.op("Mul", {s.op("Add", {x, s.op("Mul", {cube, s.number(0.044715f)})}), s.number(0.79788456f)});
  const ValueId gate = s.op("Add", {s.number(1), s.op("Tanh", {inner})});
  const Graph g = activation_after(s, s.op("Mul", {s.op("Mul", {x, gate}), s.number(0.5f)}));
  ASSERT_THAT(ops_of(g), ElementsAre("Neg", "Gelu"));
  EXPECT_EQ(g.node(1).string_or("approximate", ""), "tanh");
}

TEST(RecogniseActivation, gelu_with_wrong_constants_stays) {
  for (const auto& [root, half] : {std::pair(1.5f, 0.5f), std::pair(1.41421356f, 0.6f)}) {
    GraphSketch s;
    const ValueId x = s.input("x", {2, 3});
    const ValueId gate = s.op("Add", {s.op("Erf", {s.op("Div", {x, s.number(root)})}), s.number(1)});
    EXPECT_THAT(ops_of(activation_after(s, s.op("Mul", {s.op("Mul", {x, gate}), s.number(half)}))),
                Not(Contains("Gelu")));
  }
}

TEST(RecogniseActivation, a_part_that_something_else_reads_prevents_it) {
  for (const bool output : {false, true}) {
    GraphSketch s;
    const ValueId x = s.input("x", {2, 3});
    const ValueId erf = s.op("Erf", {s.op("Div", {x, s.number(1.41421356f)})});
    const ValueId gate = s.op("Add", {erf, s.number(1)});
    s.output(output ? erf : s.op("Neg", {erf}));
    EXPECT_THAT(ops_of(activation_after(s, s.op("Mul", {s.op("Mul", {x, gate}), s.number(0.5f)}))),
                Not(Contains("Gelu")));
  }
}

TEST(RecogniseActivation, another_x_in_the_gate_prevents_it) {
  GraphSketch s;
  const ValueId gate = s.op("Sigmoid", {s.input("g", {2, 3})});
  EXPECT_THAT(ops_of(activation_after(s, s.op("Mul", {s.input("x", {2, 3}), gate}))), ElementsAre("Sigmoid", "Mul"));
}

TEST(RecogniseActivation, swish_with_and_without_alpha) {
  for (const float alpha : {1.0f, 1.702f}) {
    GraphSketch s;
    const ValueId x = s.input("x", {2, 3});
    const ValueId argument = alpha == 1 ? x : s.op("Mul", {x, s.number(alpha)});
    const Graph g = activation_after(s, s.op("Mul", {x, s.op("Sigmoid", {argument})}));
    ASSERT_THAT(ops_of(g), ElementsAre("Swish"));
    EXPECT_FLOAT_EQ(g.node(0).float_or("alpha", 0), alpha);
  }
}

TEST(RecogniseActivation, hard_swish_spelled_with_clip_or_hard_sigmoid) {
  for (int spelling = 0; spelling < 4; ++spelling) {
    GraphSketch s;
    const ValueId x = s.input("x", {2, 3});
    const ValueId clipped = s.op("Clip", {s.op("Add", {x, s.number(3)}), s.number(0), s.number(6)});
    ValueId y = kNoValue;
    if (spelling == 0) y = s.op("Div", {s.op("Mul", {x, clipped}), s.number(6)});
    if (spelling == 1) y = s.op("Mul", {x, s.op("Div", {clipped, s.number(6)})});
    if (spelling == 2) y = s.op("Mul", {s.op("Mul", {clipped, s.number(1.0f / 6)}), x});
    if (spelling == 3) y = s.op("Mul", {x, s.op("HardSigmoid", {x}, {{"alpha", 1.0f / 6}})});
    EXPECT_THAT(ops_of(activation_after(s, y)), ElementsAre("HardSwish")) << "spelling " << spelling;
  }
}

TEST(RecogniseActivation, hard_sigmoid_and_mish) {
  GraphSketch s;
  const ValueId x = s.input("x", {2, 3});
  s.output(s.op("Div", {s.op("Clip", {s.op("Add", {x, s.number(3)}), s.number(0), s.number(6)}), s.number(6)}));
  EXPECT_THAT(ops_of(activation_after(s, s.op("Mul", {x, s.op("Tanh", {s.op("Softplus", {x})})}))),
              ::testing::UnorderedElementsAre("HardSigmoid", "Mish"));
}

TEST(RecogniseActivation, a_constant_that_adds_dimensions_prevents_it) {
  GraphSketch s;
  const ValueId x = s.input("x", {3});
  const ValueId gate = s.op("Add", {s.op("Erf", {s.op("Div", {x, s.number(1.41421356f)})}), s.number(1)});
  const ValueId half = s.constant(Tensor::of<float>({1, 1}, {0.5f}));
  EXPECT_THAT(ops_of(activation_after(s, s.op("Mul", {s.op("Mul", {x, gate}), half}))), Not(Contains("Gelu")));
}

struct LayerNormSpelling {
  bool power = true;  ///< Pow(d, 2) instead of d · d
  int root = 0;       ///< 0: Div by Sqrt, 1: Mul by Reciprocal, 2: Mul by Pow −0.5, 3: Div by Pow 0.5
  bool affine = true;
  std::int64_t mean_axis = -1;
  std::int64_t variance_axis = -1;
  bool variance_read = false;
};

Graph layer_norm(const LayerNormSpelling& spelling) {
  GraphSketch s;
  const ValueId x = s.op("Neg", {s.input("x", {2, 3, 4})});
  const ValueId mean = s.op("ReduceMean", {x}, {{"axes", Integers{spelling.mean_axis}}});
  const ValueId d = s.op("Sub", {x, mean});
  const ValueId square = spelling.power ? s.op("Pow", {d, s.number(2)}) : s.op("Mul", {d, d});
  const ValueId variance = s.op("ReduceMean", {square}, {{"axes", Integers{spelling.variance_axis}}});
  if (spelling.variance_read) s.output(variance);
  const ValueId sum = s.op("Add", {variance, s.number(1e-5f)});
  ValueId y = kNoValue;
  if (spelling.root == 0) y = s.op("Div", {d, s.op("Sqrt", {sum})});
  if (spelling.root == 1) y = s.op("Mul", {d, s.op("Reciprocal", {s.op("Sqrt", {sum})})});
  if (spelling.root == 2) y = s.op("Mul", {s.op("Pow", {sum, s.number(-0.5f)}), d});
  if (spelling.root == 3) y = s.op("Div", {d, s.op("Pow", {sum, s.number(0.5f)})});
  if (spelling.affine) {
    y = s.op("Mul", {y, s.constant(Tensor::of<float>({4}, {1, 2, 3, 4}))});
    y = s.op("Add", {s.constant(Tensor::of<float>({4}, {4, 3, 2, 1})), y});
  }
  return after(make_recognise_layer_norm(), s.build(y));
}

TEST(RecogniseLayerNorm, every_spelling) {
  for (const bool power : {false, true}) {
    for (int root = 0; root < 4; ++root) {
      for (const bool affine : {false, true}) {
        EXPECT_THAT(ops_of(layer_norm({.power = power, .root = root, .affine = affine})),
                    ElementsAre("Neg", "LayerNormalization"))
            << power << root << affine;
      }
    }
  }
}

TEST(RecogniseLayerNorm, a_positive_last_axis_counts_as_well) {
  EXPECT_THAT(ops_of(layer_norm({.mean_axis = 2})), ElementsAre("Neg", "LayerNormalization"));
}

TEST(RecogniseLayerNorm, another_axis_or_two_different_ones_stay) {
  EXPECT_THAT(ops_of(layer_norm({.mean_axis = 1, .variance_axis = 1})), Not(Contains("LayerNormalization")));
  EXPECT_THAT(ops_of(layer_norm({.variance_axis = 1})), Not(Contains("LayerNormalization")));
}

TEST(RecogniseLayerNorm, a_variance_that_is_an_output_prevents_it) {
  EXPECT_THAT(ops_of(layer_norm({.variance_read = true})), Not(Contains("LayerNormalization")));
}

enum class Mask { none, add, where_false, where_true };

struct AttentionSpelling {
  Mask mask = Mask::none;
  int scale = 0;  ///< 0: Div on scores, 1: Mul on Q, 2: on Q and K, 3: none
  bool keys_in_two_steps = false;
  bool weights_are_output = false;
  std::int64_t softmax_axis = -1;
  float filler = -1e12f;
  std::int64_t queries = 5;
};

ValueId heads(GraphSketch& s, ValueId x, std::int64_t length, Integers perm) {
  return s.op("Transpose", {s.op("Reshape", {x, s.integers({2, length, 3, 4})})}, {{"perm", std::move(perm)}});
}

Graph attention(const AttentionSpelling& spelling) {
  GraphSketch s;
  const std::int64_t queries = spelling.queries;
  const std::int64_t keys = 6;
  ValueId q = heads(s, s.op("Neg", {s.input("q", {2, queries, 12})}), queries, {0, 2, 1, 3});
  ValueId k = spelling.keys_in_two_steps
                  ? s.op("Transpose", {heads(s, s.op("Neg", {s.input("k", {2, keys, 12})}), keys, {0, 2, 1, 3})},
                         {{"perm", Integers{0, 1, 3, 2}}})
                  : heads(s, s.op("Neg", {s.input("k", {2, keys, 12})}), keys, {0, 2, 3, 1});
  const ValueId v = heads(s, s.op("Neg", {s.input("v", {2, keys, 12})}), keys, {0, 2, 1, 3});
  if (spelling.scale == 1) q = s.op("Mul", {q, s.number(0.5f)});
  if (spelling.scale == 2) {
    q = s.op("Mul", {q, s.number(0.7f)});
    k = s.op("Mul", {s.number(0.7f), k});
  }
  ValueId scores = s.op("MatMul", {q, k});
  if (spelling.scale == 0) scores = s.op("Div", {scores, s.number(2)});
  if (spelling.mask == Mask::add) scores = s.op("Add", {scores, s.input("mask", {2, 1, 1, keys})});
  if (spelling.mask == Mask::where_false) {
    scores = s.op("Where", {s.input("mask", {2, 1, 1, keys}, DType::boolean), scores, s.number(spelling.filler)});
  }
  if (spelling.mask == Mask::where_true) {
    scores = s.op("Where", {s.input("mask", {2, 1, 1, keys}, DType::boolean), s.number(spelling.filler), scores});
  }
  const ValueId weights = s.op("Softmax", {scores}, {{"axis", spelling.softmax_axis}});
  if (spelling.weights_are_output) s.output(weights);
  const ValueId mixed = s.op("Transpose", {s.op("MatMul", {weights, v})}, {{"perm", Integers{0, 2, 1, 3}}});
  const Graph g = s.build(s.op("Reshape", {mixed, s.integers({2, queries, 12})}));
  return after(make_recognise_attention(), g);
}

const auto kAttention = Contains("MultiHeadAttention");

TEST(RecogniseAttention, every_place_of_the_scale) {
  for (int scale = 0; scale < 4; ++scale) {
    EXPECT_THAT(ops_of(attention({.scale = scale})), ElementsAre("Neg", "Neg", "Neg", "MultiHeadAttention"));
  }
}

TEST(RecogniseAttention, keys_transposed_in_two_steps) {
  EXPECT_THAT(ops_of(attention({.keys_in_two_steps = true})), ElementsAre("Neg", "Neg", "Neg", "MultiHeadAttention"));
}

TEST(RecogniseAttention, an_additive_mask_becomes_an_operand) {
  const Graph g = attention({.mask = Mask::add});
  ASSERT_THAT(ops_of(g), kAttention);
  EXPECT_EQ(g.nodes().back().inputs.size(), 4u);
}

TEST(RecogniseAttention, a_selecting_mask_becomes_an_additive_one) {
  EXPECT_THAT(ops_of(attention({.mask = Mask::where_false})), kAttention);
  EXPECT_THAT(ops_of(attention({.mask = Mask::where_true})), kAttention);
}

TEST(RecogniseAttention, a_filler_that_scores_could_shift_stays) {
  EXPECT_THAT(ops_of(attention({.mask = Mask::where_false, .filler = -100})), Not(kAttention));
}

TEST(RecogniseAttention, a_single_query) { EXPECT_THAT(ops_of(attention({.queries = 1})), kAttention); }

TEST(RecogniseAttention, weights_that_are_an_output_prevent_it) {
  EXPECT_THAT(ops_of(attention({.weights_are_output = true})), Not(kAttention));
}

TEST(RecogniseAttention, softmax_over_another_axis_stays) {
  EXPECT_THAT(ops_of(attention({.softmax_axis = 2})), Not(kAttention));
}

TEST(RecogniseAttention, a_joint_projection_is_sliced) {
  GraphSketch s;
  const ValueId joint = s.op("Neg", {s.input("x", {2, 5, 36})});
  const ValueId parts =
      s.op("Transpose", {s.op("Reshape", {joint, s.integers({2, 5, 3, 3, 4})})}, {{"perm", Integers{2, 0, 3, 1, 4}}});
  const auto part = [&](std::int64_t i) {
    return s.op("Gather", {parts, s.constant(Tensor::scalar<std::int64_t>(i))}, {{"axis", std::int64_t{0}}});
  };
  const ValueId k = s.op("Transpose", {part(1)}, {{"perm", Integers{0, 1, 3, 2}}});
  const ValueId scores = s.op("Mul", {s.op("MatMul", {part(0), k}), s.number(0.5f)});
  const ValueId mixed = s.op("MatMul", {s.op("Softmax", {scores}, {{"axis", std::int64_t{-1}}}), part(2)});
  const ValueId merged = s.op("Transpose", {mixed}, {{"perm", Integers{0, 2, 1, 3}}});
  const Graph g = after(make_recognise_attention(), s.build(s.op("Reshape", {merged, s.integers({10, 12})})));
  EXPECT_THAT(ops_of(g), ElementsAre("Neg", "Slice", "Slice", "Slice", "MultiHeadAttention", "Reshape"));
}

}  // namespace
}  // namespace sparse_run::reference
