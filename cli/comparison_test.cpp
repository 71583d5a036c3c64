// Comparison follows numpy.allclose.
#include "cli/comparison.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sparse_run::cli {
namespace {

using testing::HasSubstr;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Comparison compared(const Value& actual, const Value& expected, Tolerance tolerance = {}, bool any_float = false) {
  Comparison comparison("out", tolerance);
  comparison.add(actual, expected, any_float);
  return comparison;
}

template <class T>
Value vector_of(std::initializer_list<T> values) {
  return Tensor::of<T>({static_cast<std::int64_t>(values.size())}, values);
}

TEST(Comparison, the_tolerance_scales_with_the_expected_value) {
  // 100 vs 101: |difference| 1 <= 0.5 + 0.005 * 101 = 1.005, but > 0.5 + 0.004 * 101.
  EXPECT_TRUE(compared(vector_of<float>({100}), vector_of<float>({101}), {0.005, 0.5}).passed());
  EXPECT_FALSE(compared(vector_of<float>({100}), vector_of<float>({101}), {0.004, 0.5}).passed());
  // It is not symmetric: |difference| 1 <= 1.0 * 1, but > 1.0 * 0.
  EXPECT_TRUE(compared(vector_of<float>({0}), vector_of<float>({1}), {1, 0}).passed());
  EXPECT_FALSE(compared(vector_of<float>({1}), vector_of<float>({0}), {1, 0}).passed());
}

TEST(Comparison, nan_matches_nan_and_infinities_match_themselves) {
  EXPECT_TRUE(compared(vector_of({kNan, kInfinity, -kInfinity}), vector_of({kNan, kInfinity, -kInfinity})).passed());
  EXPECT_FALSE(compared(vector_of({kNan}), vector_of({1.0f})).passed());
  EXPECT_FALSE(compared(vector_of({1.0f}), vector_of({kNan})).passed());
  EXPECT_FALSE(compared(vector_of({kInfinity}), vector_of({-kInfinity})).passed());
  EXPECT_FALSE(compared(vector_of({1.0f}), vector_of({kInfinity}), {1, 1}).passed());
}

TEST(Comparison, the_largest_errors_are_kept) {
  const auto comparison = compared(vector_of<double>({1.5, 20}), vector_of<double>({1, 22}), {1, 1});
  EXPECT_DOUBLE_EQ(comparison.largest_absolute(), 2);
  EXPECT_DOUBLE_EQ(comparison.largest_relative(), 0.5);
  EXPECT_TRUE(comparison.passed());
}

TEST(Comparison, the_first_mismatch_is_shown_with_its_place) {
  const Value actual = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  const Value expected = Tensor::of<float>({2, 2}, {1, 2, 5, 6});
  Comparison comparison("out", {});
  comparison.add(actual, expected, false, 10);
  EXPECT_EQ(comparison.mismatches(), 2);
  EXPECT_THAT(comparison.line(), HasSubstr("first at [11, 0]: 3, expected 5"));
}

TEST(Comparison, large_integers_are_compared_exactly_before_tolerance) {
  constexpr std::int64_t kBig = std::int64_t{1} << 62;
  EXPECT_TRUE(compared(vector_of<std::int64_t>({kBig}), vector_of<std::int64_t>({kBig}), {0, 0}).passed());
  EXPECT_FALSE(compared(vector_of<std::int64_t>({kBig}), vector_of<std::int64_t>({kBig + 1}), {0, 0}).passed());
}

TEST(Comparison, distances_between_integers_of_opposite_sign_do_not_overflow) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const auto comparison = compared(vector_of<std::int64_t>({kMost}), vector_of<std::int64_t>({-kMost}), {0, 0});
  EXPECT_FALSE(comparison.passed());
  EXPECT_DOUBLE_EQ(comparison.largest_absolute(), 0x1p64);
  EXPECT_DOUBLE_EQ(compared(vector_of<std::int8_t>({-3}), vector_of<std::int8_t>({4})).largest_absolute(), 7);
  EXPECT_DOUBLE_EQ(compared(vector_of<std::uint64_t>({1}), vector_of<std::uint64_t>({0})).largest_absolute(), 1);
}

TEST(Comparison, shapes_and_types_have_to_agree) {
  EXPECT_THAT(compared(vector_of<float>({1}), vector_of<float>({1, 2})).line(), HasSubstr("shape is 1, expected 2"));
  EXPECT_THAT(compared(vector_of<float>({1}), vector_of<double>({1})).line(), HasSubstr("type is f32, expected f64"));
  EXPECT_TRUE(compared(vector_of<float>({1}), vector_of<double>({1}), {}, true).passed());
  EXPECT_FALSE(compared(vector_of<float>({1}), vector_of<std::int32_t>({1}), {}, true).passed());
}

TEST(Comparison, strings_booleans_and_halves_are_compared) {
  EXPECT_TRUE(compared(vector_of<std::string>({"a"}), vector_of<std::string>({"a"})).passed());
  EXPECT_FALSE(compared(vector_of<std::string>({"a"}), vector_of<std::string>({"b"})).passed());
  EXPECT_FALSE(compared(vector_of<bool>({true}), vector_of<bool>({false})).passed());
  EXPECT_TRUE(compared(vector_of<Float16>({Float16(1.0f)}), vector_of<Float16>({Float16(1.0f)})).passed());
}

TEST(Comparison, sequences_and_optionals_are_compared_by_content) {
  const Value one = Value::sequence({vector_of<float>({1})});
  const Value two = Value::sequence({vector_of<float>({1}), vector_of<float>({2})});
  EXPECT_TRUE(compared(two, two).passed());
  EXPECT_FALSE(compared(one, two).passed());
  EXPECT_TRUE(compared(Value::none(), Value::none()).passed());
  EXPECT_FALSE(compared(Value::none(), Value::some(vector_of<float>({1}))).passed());
  EXPECT_FALSE(compared(one, vector_of<float>({1})).passed());
}

TEST(Comparison, pieces_add_up) {
  Comparison comparison("out", {0, 0});
  comparison.add(vector_of<float>({1, 2}), vector_of<float>({1, 2}), false, 0);
  comparison.add(vector_of<float>({3}), vector_of<float>({4}), false, 2);
  EXPECT_EQ(comparison.mismatches(), 1);
  EXPECT_THAT(comparison.line(), HasSubstr("1 of 3 elements"));
  EXPECT_THAT(comparison.line(), HasSubstr("[2]"));
}

}  // namespace
}  // namespace sparse_run::cli
