// Arithmetic, comparison, logic and bit kernels against values worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cpu/reference/single_node.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ErrorKind kind_of(SingleNode node, std::vector<Value> inputs) {
  try {
    node.run(std::move(inputs));
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::internal;
}

TEST(Arithmetic, operands_broadcast_both_ways) {
  const Tensor out = SingleNode("Add").run({Tensor::of<float>({2, 1}, {1, 2}), Tensor::of<float>({3}, {10, 20, 30})});
  EXPECT_EQ(out.shape(), (Shape{2, 3}));
  EXPECT_THAT(elements<float>(out), ElementsAre(11, 21, 31, 12, 22, 32));
}

TEST(Arithmetic, a_zero_dimension_broadcasts_to_an_empty_result) {
  const Tensor out =
      SingleNode("Mul").run({Tensor::allocate(DType::f32, {0, 3}), Tensor::of<float>({1, 3}, {1, 2, 3})});
  EXPECT_EQ(out.shape(), (Shape{0, 3}));
}

TEST(Arithmetic, shapes_that_do_not_broadcast_are_named) {
  try {
    SingleNode("Sub").run({Tensor::allocate(DType::f32, {2, 3}), Tensor::allocate(DType::f32, {4})});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::model);
    EXPECT_THAT(error.what(), HasSubstr("2x3 and 4"));
  }
}

TEST(Arithmetic, element_types_must_agree) {
  EXPECT_EQ(kind_of(SingleNode("Add"), {Tensor::scalar<float>(1), Tensor::scalar<double>(1)}), ErrorKind::model);
}

TEST(Arithmetic, integers_wrap_around) {
  EXPECT_THAT(elements<std::int8_t>(SingleNode("Add").run(
                  {Tensor::of<std::int8_t>({2}, {127, -128}), Tensor::of<std::int8_t>({2}, {1, -1})})),
              ElementsAre(-128, 127));
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  EXPECT_THAT(elements<std::int64_t>(
                  SingleNode("Div").run({Tensor::scalar<std::int64_t>(kMin), Tensor::scalar<std::int64_t>(-1)})),
              ElementsAre(kMin));
}

TEST(Arithmetic, integer_division_truncates_and_refuses_zero) {
  const Tensor a = Tensor::of<std::int32_t>({2}, {7, -7});
  EXPECT_THAT(elements<std::int32_t>(SingleNode("Div").run({a, Tensor::scalar<std::int32_t>(2)})), ElementsAre(3, -3));
  EXPECT_EQ(kind_of(SingleNode("Div"), {a, Tensor::scalar<std::int32_t>(0)}), ErrorKind::input);
  EXPECT_EQ(kind_of(SingleNode("Mod"), {a, Tensor::scalar<std::int32_t>(0)}), ErrorKind::input);
}

TEST(Arithmetic, mod_takes_the_divisors_sign_and_fmod_the_dividends) {
  const Tensor a = Tensor::of<std::int32_t>({4}, {-4, 7, 5, -8});
  const Tensor b = Tensor::of<std::int32_t>({4}, {2, -3, 8, 3});
  EXPECT_THAT(elements<std::int32_t>(SingleNode("Mod").run({a, b})), ElementsAre(0, -2, 5, 1));
  EXPECT_THAT(elements<std::int32_t>(SingleNode("Mod").with("fmod", std::int64_t{1}).run({a, b})),
              ElementsAre(0, 1, 5, -2));
}

TEST(Arithmetic, pow_keeps_the_bases_type) {
  const Tensor out =
      SingleNode("Pow").run({Tensor::of<std::int32_t>({3}, {1, 2, 3}), Tensor::of<float>({3}, {4, 5, 2})});
  EXPECT_THAT(elements<std::int32_t>(out), ElementsAre(1, 32, 9));
  EXPECT_THAT(elements<std::int64_t>(SingleNode("Pow").run(
                  {Tensor::of<std::int64_t>({2}, {3, -1}), Tensor::of<std::int64_t>({2}, {39, -3})})),
              ElementsAre(4052555153018976267, -1));
}

TEST(Arithmetic, half_precision_rounds_once) {
  const Tensor out = SingleNode("Add").run({Tensor::scalar(Float16(2048.0f)), Tensor::scalar(Float16(1.0f))});
  EXPECT_EQ(static_cast<float>(out.data<Float16>()[0]), 2048.0f);
}

TEST(Arithmetic, max_takes_any_number_of_operands_and_keeps_nan) {
  const float nan = std::nanf("");
  const Tensor out = SingleNode("Max").run(
      {Tensor::of<float>({3}, {1, nan, 3}), Tensor::of<float>({3}, {4, 2, nan}), Tensor::scalar<float>(2)});
  EXPECT_EQ(out.data<float>()[0], 4);
  EXPECT_TRUE(std::isnan(out.data<float>()[1]));
  EXPECT_TRUE(std::isnan(out.data<float>()[2]));
}

TEST(Arithmetic, mean_of_one_operand_is_that_operand) {
  EXPECT_THAT(elements<float>(SingleNode("Mean").run({Tensor::of<float>({2}, {1, 2})})), ElementsAre(1, 2));
  EXPECT_THAT(elements<float>(SingleNode("Mean").run({Tensor::of<float>({2}, {1, 2}), Tensor::scalar<float>(4)})),
              ElementsAre(2.5f, 3));
}

TEST(Comparison, nan_equals_nothing_and_strings_compare_whole) {
  const float nan = std::nanf("");
  EXPECT_THAT(
      elements<bool>(SingleNode("Equal").run({Tensor::of<float>({2}, {1, nan}), Tensor::of<float>({2}, {1, nan})})),
      ElementsAre(true, false));
  EXPECT_THAT(elements<bool>(SingleNode("Equal").run(
                  {Tensor::of<std::string>({2}, {"a", "b"}), Tensor::scalar<std::string>("b")})),
              ElementsAre(false, true));
}

TEST(Comparison, large_unsigned_values_are_not_negative) {
  EXPECT_THAT(elements<bool>(SingleNode("Less").run(
                  {Tensor::scalar<std::uint64_t>(1), Tensor::scalar<std::uint64_t>(~std::uint64_t{0})})),
              ElementsAre(true));
}

TEST(Bits, shifts_beyond_the_width_give_zero) {
  const Tensor a = Tensor::of<std::uint8_t>({3}, {1, 129, 255});
  const Tensor b = Tensor::of<std::uint8_t>({3}, {1, 7, 9});
  EXPECT_THAT(elements<std::uint8_t>(SingleNode("BitShift").with("direction", std::string("LEFT")).run({a, b})),
              ElementsAre(2, 128, 0));
  EXPECT_THAT(elements<std::uint8_t>(SingleNode("BitShift").with("direction", std::string("RIGHT")).run({a, b})),
              ElementsAre(0, 1, 0));
}

TEST(Bits, logic_is_for_bool_and_bitwise_for_integers) {
  EXPECT_THAT(elements<bool>(SingleNode("Xor").run({Tensor::of<bool>({2}, {true, false}), Tensor::scalar(true)})),
              ElementsAre(false, true));
  EXPECT_THAT(
      elements<std::int8_t>(
          SingleNode("BitwiseXor").run({Tensor::of<std::int8_t>({2}, {-1, 5}), Tensor::scalar<std::int8_t>(3)})),
      ElementsAre(-4, 6));
  EXPECT_EQ(kind_of(SingleNode("And"), {Tensor::scalar<float>(1), Tensor::scalar<float>(1)}), ErrorKind::model);
}

TEST(Where, selects_among_three_broadcast_operands) {
  const Tensor out =
      SingleNode("Where").run({Tensor::of<bool>({2, 1}, {true, false}), Tensor::of<std::string>({2}, {"a", "b"}),
                               Tensor::scalar<std::string>("z")});
  EXPECT_EQ(out.shape(), (Shape{2, 2}));
  EXPECT_THAT(elements<std::string>(out), ElementsAre("a", "b", "z", "z"));
}

TEST(Versions, an_operator_is_refused_before_its_introduction) {
  EXPECT_EQ(kind_of(SingleNode("BitwiseAnd", 17), {Tensor::scalar<std::int8_t>(1), Tensor::scalar<std::int8_t>(1)}),
            ErrorKind::unsupported);
}

}  // namespace
}  // namespace sparse_run::reference
