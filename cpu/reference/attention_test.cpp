// Attention and rotary embedding against hand-computed values.
#include <cmath>

#include "cpu/reference/one_node_test.hpp"

namespace sparse_run::reference {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

/// One query that scores every key alike, so that the result is the mean of the values taking part.
std::vector<Value> uniform(std::int64_t queries, std::vector<float> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  std::vector<float> zeros(static_cast<std::size_t>(std::max(n, queries)), 0);
  return {Tensor::of<float>({1, 1, queries, 1}, std::span(zeros).first(static_cast<std::size_t>(queries))),
          Tensor::of<float>({1, 1, n, 1}, std::span(zeros).first(values.size())),
          Tensor::of<float>({1, 1, n, 1}, values)};
}

TEST(Attention, weighs_values_by_softmax_of_scores) {
  const float log3 = std::log(3.0F);
  const auto y = run_one("Attention", 23, {{"scale", 1.0F}},
                         {Tensor::of<float>({1, 1, 1, 1}, {1}), Tensor::of<float>({1, 1, 2, 1}, {0, log3}),
                          Tensor::of<float>({1, 1, 2, 1}, {4, 8})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(FloatNear(7, 1e-5F)));
}

TEST(Attention, causal_and_masks_exclude_keys) {
  EXPECT_THAT(elements<float>(run_one("Attention", 23, {{"is_causal", std::int64_t{1}}}, uniform(2, {2, 4}))[0]),
              ElementsAre(2, 3));
  auto operands = uniform(1, {2, 4, 9});
  operands.push_back(Tensor::of<bool>({1, 3}, {true, false, true}));
  EXPECT_THAT(elements<float>(run_one("Attention", 23, {}, operands)[0]), ElementsAre(5.5F));
  operands[3] = Tensor::of<float>({1, 2}, {0, 0});  // shorter than the keys: the rest takes no part
  EXPECT_THAT(elements<float>(run_one("Attention", 24, {}, operands)[0]), ElementsAre(3));
}

TEST(Attention, valid_lengths_exclude_the_rest) {
  auto operands = uniform(1, {2, 4, 9});
  operands.insert(operands.end(), {Value{}, Value{}, Value{}, Tensor::of<std::int64_t>({1}, {2})});
  EXPECT_THAT(elements<float>(run_one("Attention", 24, {}, operands)[0]), ElementsAre(3));
}

TEST(Attention, cache_is_joined_before_new_keys) {
  auto operands = uniform(1, {6});
  operands.insert(operands.end(),
                  {Value{}, Tensor::of<float>({1, 1, 1, 1}, {7}), Tensor::of<float>({1, 1, 1, 1}, {2})});
  const auto y = run_one("Attention", 23, {}, operands, 3);
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(4));
  EXPECT_THAT(elements<float>(y[1]), ElementsAre(7, 0));
  EXPECT_THAT(elements<float>(y[2]), ElementsAre(2, 6));
}

TEST(Attention, packed_heads_share_keys_in_groups) {
  // 4 query heads over 2 key heads of size 1: heads 0 1 read the first value, heads 2 3 the second
  const auto y = run_one("Attention", 23, {{"q_num_heads", std::int64_t{4}}, {"kv_num_heads", std::int64_t{2}}},
                         {Tensor::of<float>({1, 1, 4}, {1, 2, 3, 4}), Tensor::of<float>({1, 1, 2}, {1, 1}),
                          Tensor::of<float>({1, 1, 2}, {5, 6})});
  EXPECT_EQ(y[0].tensor.shape(), Shape({1, 1, 4}));
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(5, 5, 6, 6));
}

TEST(Attention, contradictions_are_refused) {
  EXPECT_EQ(kind_thrown([] {
              run_one("Attention", 23, {{"q_num_heads", std::int64_t{3}}, {"kv_num_heads", std::int64_t{2}}},
                      {Tensor::of<float>({1, 1, 3}, {1, 2, 3}), Tensor::of<float>({1, 1, 2}, {1, 1}),
                       Tensor::of<float>({1, 1, 2}, {5, 6})});
            }),
            ErrorKind::model);
  EXPECT_EQ(kind_thrown([] { run_one("Attention", 22, {}, uniform(1, {1})); }), ErrorKind::unsupported);
}

TEST(RotaryEmbedding, turns_pairs) {
  const auto rotate = [](std::int64_t interleaved) {
    return elements<float>(run_one("RotaryEmbedding", 23, {{"interleaved", interleaved}},
                                   {Tensor::of<float>({1, 1, 1, 4}, {1, 2, 3, 4}), Tensor::of<float>({1, 2}, {0, 1}),
                                    Tensor::of<float>({1, 2}, {1, 0}), Tensor::of<std::int64_t>({1, 1}, {0})})[0]);
  };
  EXPECT_THAT(rotate(0), ElementsAre(-3, 2, 1, 4));  // pairs (1,3) by 90 degrees, (2,4) not at all
  EXPECT_THAT(rotate(1), ElementsAre(-2, 1, 3, 4));
}

TEST(RotaryEmbedding, position_outside_is_an_input_error) {
  EXPECT_EQ(kind_thrown([] {
              run_one("RotaryEmbedding", 23, {},
                      {Tensor::of<float>({1, 1, 1, 2}, {1, 2}), Tensor::of<float>({1, 1}, {0}),
                       Tensor::of<float>({1, 1}, {1}), Tensor::of<std::int64_t>({1, 1}, {1})});
            }),
            ErrorKind::input);
}

TEST(LinearAttention, accumulates_and_decays) {
  const Tensor ones = Tensor::of<float>({1, 2, 1}, {1, 1});
  const auto y = run_one(
      "LinearAttention", 27,
      {{"q_num_heads", std::int64_t{1}}, {"kv_num_heads", std::int64_t{1}}, {"update_rule", std::string("gated")}},
      {ones, ones, Tensor::of<float>({1, 2, 1}, {4, 6}), Value{}, Tensor::of<float>({1, 2, 1}, {0, std::log(0.5F)})},
      2);
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(4, FloatNear(8, 1e-5F)));
  EXPECT_THAT(elements<float>(y[1]), ElementsAre(FloatNear(8, 1e-5F)));
}

TEST(FlexAttention, without_bodies_is_plain_attention) {
  const auto y = run_one("FlexAttention", 1, {}, uniform(1, {2, 4, 9}), 1, "ai.onnx.preview");
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(5));
}

}  // namespace
}  // namespace sparse_run::reference
