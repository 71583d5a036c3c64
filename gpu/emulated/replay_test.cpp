// What is remembered of an emulated GPU's calls.
#include "gpu/emulated/replay.hpp"

#include <gtest/gtest.h>

namespace sparse_run::gpu {
namespace {

std::vector<Value> one(std::initializer_list<float> numbers) {
  Tensor tensor = Tensor::allocate(DType::f32, Shape{static_cast<std::int64_t>(numbers.size())});
  std::copy(numbers.begin(), numbers.end(), tensor.data<float>().begin());
  std::vector<Value> values;
  values.emplace_back(std::move(tensor));
  return values;
}

float first(const std::vector<Value>& values) { return values[0].tensor.data<float>()[0]; }

TEST(Replay, equal_operands_give_the_results_of_the_earlier_call) {
  Replay replay(1024);
  auto out = one({0});
  EXPECT_FALSE(replay.recall(one({1, 2}), out));
  replay.remember(one({1, 2}), one({7}));
  replay.remember(one({1, 3}), one({8}));
  EXPECT_TRUE(replay.recall(one({1, 2}), out));
  EXPECT_EQ(first(out), 7);
  EXPECT_TRUE(replay.recall(one({1, 3}), out));
  EXPECT_EQ(first(out), 8);
  EXPECT_FALSE(replay.recall(one({1, 4}), out));
  EXPECT_FALSE(replay.recall(one({1, 2, 3}), out));
  EXPECT_EQ(first(out), 8);
}

TEST(Replay, remembered_calls_do_not_change_with_the_memory_they_came_from) {
  Replay replay(1024);
  auto in = one({1});
  auto result = one({7});
  replay.remember(in, result);
  in[0].tensor.data<float>()[0] = 2;
  result[0].tensor.data<float>()[0] = 9;
  auto out = one({0});
  EXPECT_FALSE(replay.recall(in, out));
  EXPECT_TRUE(replay.recall(one({1}), out));
  EXPECT_EQ(first(out), 7);
}

TEST(Replay, what_is_too_large_or_old_is_computed_again) {
  Replay small(11);
  auto out = one({0});
  small.remember(one({1, 2}), one({3}));
  EXPECT_FALSE(small.recall(one({1, 2}), out));
  Replay replay(1024);
  for (int i = 0; i < 5; ++i) replay.remember(one({static_cast<float>(i)}), one({1}));
  EXPECT_FALSE(replay.recall(one({0}), out));
  EXPECT_TRUE(replay.recall(one({4}), out));
}

TEST(Replay, operands_that_never_repeat_are_no_longer_kept) {
  Replay replay(1024);
  auto out = one({0});
  for (int i = 0; i < 100; ++i) replay.remember(one({static_cast<float>(i)}), one({1}));
  EXPECT_FALSE(replay.recall(one({99}), out));
}

}  // namespace
}  // namespace sparse_run::gpu
