// Reductions, running sums, softmax, normalisations and losses against values worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cpu/reference/single_node.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

const float kInf = std::numeric_limits<float>::infinity();
const Tensor kMatrix = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});

Tensor axes(std::initializer_list<std::int64_t> values) {
  return Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
}

ErrorKind kind_of(SingleNode node, std::vector<Value> inputs) {
  try {
    node.run(std::move(inputs));
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::internal;
}

TEST(Reduce, axes_moved_from_attribute_to_operand) {
  const Tensor old_style = SingleNode("ReduceSum", 12).with("axes", std::vector<std::int64_t>{-1}).run({kMatrix});
  EXPECT_EQ(old_style.shape(), (Shape{2, 1}));
  EXPECT_THAT(elements<float>(old_style), ElementsAre(6, 15));
  const Tensor new_style = SingleNode("ReduceSum", 13).with("keepdims", std::int64_t{0}).run({kMatrix, axes({0})});
  EXPECT_EQ(new_style.shape(), (Shape{3}));
  EXPECT_THAT(elements<float>(new_style), ElementsAre(5, 7, 9));
  EXPECT_EQ(kind_of(SingleNode("ReduceMax", 17), {kMatrix, axes({0})}), ErrorKind::model);
}

TEST(Reduce, no_axes_means_all_or_none) {
  EXPECT_THAT(elements<float>(SingleNode("ReduceSum").run({kMatrix})), ElementsAre(21));
  EXPECT_THAT(elements<float>(SingleNode("ReduceSum").run({kMatrix, axes({})})), ElementsAre(21));
  const Tensor squares = SingleNode("ReduceSumSquare").with("noop_with_empty_axes", std::int64_t{1}).run({kMatrix});
  EXPECT_THAT(elements<float>(squares), ElementsAre(1, 4, 9, 16, 25, 36));
}

TEST(Reduce, an_axis_outside_or_named_twice_is_refused) {
  EXPECT_EQ(kind_of(SingleNode("ReduceSum"), {kMatrix, axes({2})}), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("ReduceSum"), {kMatrix, axes({1, -1})}), ErrorKind::model);
}

TEST(Reduce, nothing_reduces_to_the_neutral_element) {
  const Tensor none = Tensor::allocate(DType::f32, {2, 0});
  const Tensor axis = axes({1});
  EXPECT_THAT(elements<float>(SingleNode("ReduceSum").run({none, axis})), ElementsAre(0, 0));
  EXPECT_THAT(elements<float>(SingleNode("ReduceProd").run({none, axis})), ElementsAre(1, 1));
  EXPECT_THAT(elements<float>(SingleNode("ReduceMax").run({none, axis})), ElementsAre(-kInf, -kInf));
  EXPECT_THAT(elements<float>(SingleNode("ReduceLogSumExp").run({none, axis})), ElementsAre(-kInf, -kInf));
  const Tensor integers = SingleNode("ReduceMin").run({Tensor::allocate(DType::i8, {0}), axes({0})});
  EXPECT_THAT(elements<std::int8_t>(integers), ElementsAre(127));
}

TEST(Reduce, log_sum_exp_does_not_overflow) {
  const Tensor out = SingleNode("ReduceLogSumExp").run({Tensor::of<float>({2}, {1000, 1000})});
  EXPECT_NEAR(out.data<float>()[0], 1000 + std::log(2.0), 1e-4);
  EXPECT_THAT(elements<float>(SingleNode("ReduceLogSumExp").run({Tensor::of<float>({2}, {kInf, 0})})),
              ElementsAre(kInf));
}

TEST(Reduce, bool_maximum_is_or_and_minimum_is_and) {
  const Tensor flags = Tensor::of<bool>({2, 2}, {true, false, false, false});
  EXPECT_THAT(elements<bool>(SingleNode("ReduceMax").run({flags, axes({1})})), ElementsAre(true, false));
  EXPECT_THAT(elements<bool>(SingleNode("ReduceMin").run({flags, axes({0})})), ElementsAre(false, false));
}

TEST(ArgMax, first_or_last_of_equals) {
  const Tensor in = Tensor::of<float>({1, 4}, {2, 7, 7, 1});
  EXPECT_THAT(elements<std::int64_t>(SingleNode("ArgMax").with("axis", std::int64_t{1}).run({in})), ElementsAre(1));
  EXPECT_THAT(
      elements<std::int64_t>(
          SingleNode("ArgMax").with("axis", std::int64_t{1}).with("select_last_index", std::int64_t{1}).run({in})),
      ElementsAre(2));
  EXPECT_EQ(kind_of(SingleNode("ArgMin"), {Tensor::allocate(DType::f32, {0, 2})}), ErrorKind::input);
}

TEST(CumSum, exclusive_and_reverse) {
  const Tensor in = Tensor::of<std::int32_t>({3}, {1, 2, 3});
  const Tensor axis = Tensor::scalar<std::int32_t>(0);
  EXPECT_THAT(elements<std::int32_t>(SingleNode("CumSum").run({in, axis})), ElementsAre(1, 3, 6));
  EXPECT_THAT(
      elements<std::int32_t>(
          SingleNode("CumSum").with("exclusive", std::int64_t{1}).with("reverse", std::int64_t{1}).run({in, axis})),
      ElementsAre(5, 3, 0));
  EXPECT_THAT(elements<std::int32_t>(SingleNode("CumProd").with("exclusive", std::int64_t{1}).run({in, axis})),
              ElementsAre(1, 1, 2));
}

TEST(Softmax, normalises_everything_from_the_axis_on_before_opset_13) {
  const Tensor zeros = Tensor::of<float>({1, 2, 2}, {0, 0, 0, 0});
  EXPECT_THAT(elements<float>(SingleNode("Softmax", 12).run({zeros})), ElementsAre(0.25f, 0.25f, 0.25f, 0.25f));
  EXPECT_THAT(elements<float>(SingleNode("Softmax", 13).run({zeros})), ElementsAre(0.5f, 0.5f, 0.5f, 0.5f));
  EXPECT_THAT(elements<float>(SingleNode("Hardmax", 12).run({zeros})), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(elements<float>(SingleNode("Softmax").run({Tensor::of<float>({2}, {5000, 5000})})),
              ElementsAre(0.5f, 0.5f));
}

TEST(LayerNormalization, gives_mean_and_inverse_deviation) {
  const auto outputs = SingleNode("LayerNormalization")
                           .with("epsilon", 0.0f)
                           .run_all({Tensor::of<float>({1, 2}, {1, 3}), Tensor::of<float>({2}, {10, 100}),
                                     Tensor::of<float>({2}, {1, 2})},
                                    3);
  EXPECT_THAT(elements<float>(outputs[0].tensor), ElementsAre(-9, 102));
  EXPECT_EQ(outputs[1].tensor.shape(), (Shape{1, 1}));
  EXPECT_EQ(outputs[1].tensor.data<float>()[0], 2);
  EXPECT_EQ(outputs[2].tensor.data<float>()[0], 1);
}

TEST(GroupNormalization, scale_is_per_group_at_18_and_per_channel_at_21) {
  const Tensor in = Tensor::of<float>({1, 4, 1}, {1, 3, 10, 30});
  const Tensor two = Tensor::of<float>({2}, {1, 2});
  const Tensor four = Tensor::of<float>({4}, {1, 2, 3, 4});
  const auto node = [](int opset) {
    return SingleNode("GroupNormalization", opset).with("num_groups", std::int64_t{2}).with("epsilon", 0.0f);
  };
  EXPECT_THAT(elements<float>(node(18).run({in, two, Tensor::of<float>({2}, {0, 1})})), ElementsAre(-1, 1, -1, 3));
  EXPECT_THAT(elements<float>(node(21).run({in, four, Tensor::of<float>({4}, {0, 0, 0, 0})})),
              ElementsAre(-1, 2, -3, 4));
  EXPECT_EQ(kind_of(node(21), {in, two, two}), ErrorKind::model);
}

TEST(BatchNormalization, training_updates_running_statistics) {
  const Tensor in = Tensor::of<float>({2, 1}, {1, 3});
  const Tensor one = Tensor::of<float>({1}, {1});
  const Tensor zero = Tensor::of<float>({1}, {0});
  EXPECT_THAT(elements<float>(SingleNode("BatchNormalization").with("epsilon", 0.0f).run({in, one, zero, one, one})),
              ElementsAre(0, 2));
  const auto outputs = SingleNode("BatchNormalization")
                           .with("epsilon", 0.0f)
                           .with("training_mode", std::int64_t{1})
                           .with("momentum", 0.5f)
                           .run_all({in, one, zero, zero, zero}, 3);
  EXPECT_THAT(elements<float>(outputs[0].tensor), ElementsAre(-1, 1));
  EXPECT_THAT(elements<float>(outputs[1].tensor), ElementsAre(1));
  EXPECT_THAT(elements<float>(outputs[2].tensor), ElementsAre(0.5f));
}

TEST(Normalization, zeros_have_no_lp_norm) {
  EXPECT_THAT(elements<float>(SingleNode("LpNormalization").run({Tensor::of<float>({2, 2}, {3, 4, 0, 0})})),
              ElementsAre(0.6f, 0.8f, 0, 0));
}

TEST(Normalization, lrn_window_leans_towards_later_channels) {
  const Tensor out = SingleNode("LRN")
                         .with("size", std::int64_t{2})
                         .with("alpha", 2.0f)
                         .with("beta", 1.0f)
                         .run({Tensor::of<float>({1, 3, 1}, {1, 2, 3})});
  // channel c sums the squares of c and c + 1: 1 + 1·(1 + 4), 1 + (4 + 9), 1 + 9
  EXPECT_THAT(elements<float>(out), Pointwise(FloatNear(1e-6f), {1.0f / 6, 2.0f / 14, 3.0f / 10}));
}

TEST(Loss, mean_is_weighted_and_ignores_labels) {
  const Tensor scores = Tensor::of<float>({3, 2}, {-1, -2, -3, -4, -5, -6});
  const Tensor labels = Tensor::of<std::int64_t>({3}, {0, 1, -100});
  const auto node = SingleNode("NegativeLogLikelihoodLoss").with("ignore_index", std::int64_t{-100});
  EXPECT_THAT(elements<float>(SingleNode(node).run({scores, labels, Tensor::of<float>({2}, {1, 3})})),
              ElementsAre((1 + 12) / 4.0f));
  EXPECT_EQ(kind_of(SingleNode("NegativeLogLikelihoodLoss"), {scores, labels}), ErrorKind::input);
}

}  // namespace
}  // namespace sparse_run::reference
