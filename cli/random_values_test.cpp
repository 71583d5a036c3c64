// Random inputs: reproducible, within their range.
#include "cli/random_values.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.hpp"

namespace sparse_run::cli {
namespace {

template <class T>
std::vector<T> values(const Tensor& tensor) {
  return {tensor.data<T>().begin(), tensor.data<T>().end()};
}

TEST(RandomValues, seed_and_name_decide) {
  const auto made = [](std::uint64_t seed, const char* name) {
    return values<float>(random_tensor(DType::f32, {64}, seed, name, std::nullopt));
  };
  EXPECT_EQ(made(1, "x"), made(1, "x"));
  EXPECT_NE(made(1, "x"), made(2, "x"));
  EXPECT_NE(made(1, "x"), made(1, "y"));
}

TEST(RandomValues, floats_fill_their_range) {
  const auto made = values<float>(random_tensor(DType::f32, {1000}, 0, "x", std::nullopt));
  EXPECT_LT(*std::min_element(made.begin(), made.end()), -0.9f);
  EXPECT_GT(*std::max_element(made.begin(), made.end()), 0.9f);
  EXPECT_GE(*std::min_element(made.begin(), made.end()), -1.0f);
  EXPECT_LE(*std::max_element(made.begin(), made.end()), 1.0f);
}

TEST(RandomValues, integers_include_both_ends) {
  const auto made = values<std::int8_t>(random_tensor(DType::i8, {1000}, 0, "x", RandomRange{-2, 1}));
  EXPECT_THAT(made, testing::IsSupersetOf({-2, -1, 0, 1}));
  EXPECT_THAT(made, testing::Each(testing::AllOf(testing::Ge(-2), testing::Le(1))));
  EXPECT_THAT(values<std::int64_t>(random_tensor(DType::i64, {100}, 0, "x", std::nullopt)),
              testing::Each(testing::AnyOf(0, 1)));
}

TEST(RandomValues, ranges_are_checked) {
  EXPECT_EQ(parse_range("-1.5,2").low, -1.5);
  for (const char* bad : {"", "1", "2,1", "a,b", "1,nan", "1,2,3"}) EXPECT_THROW(parse_range(bad), Error) << bad;
  EXPECT_THROW(random_tensor(DType::u8, {1}, 0, "x", RandomRange{-1, 3}), Error);
  EXPECT_THROW(random_tensor(DType::i32, {1}, 0, "x", RandomRange{0.2, 0.8}), Error);
}

}  // namespace
}  // namespace sparse_run::cli
