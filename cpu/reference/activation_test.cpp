// Functions of one operand, conversions, constants and quantisation against values worked out by hand.
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
const float kNan = std::nanf("");

TEST(Activation, round_goes_to_even) {
  EXPECT_THAT(elements<float>(SingleNode("Round").run({Tensor::of<float>({5}, {0.5f, 1.5f, 2.5f, -0.5f, -2.7f})})),
              ElementsAre(0, 2, 2, 0, -3));
}

TEST(Activation, sigmoid_and_softplus_do_not_overflow) {
  EXPECT_THAT(elements<float>(SingleNode("Sigmoid").run({Tensor::of<float>({3}, {-1000, 0, 1000})})),
              ElementsAre(0, 0.5f, 1));
  EXPECT_THAT(elements<float>(SingleNode("Softplus").run({Tensor::of<float>({2}, {-1000, 1000})})),
              ElementsAre(0, 1000));
}

TEST(Activation, relu_keeps_nan_and_integers) {
  EXPECT_TRUE(std::isnan(SingleNode("Relu").run({Tensor::scalar(kNan)}).data<float>()[0]));
  EXPECT_THAT(elements<std::int8_t>(SingleNode("Relu").run({Tensor::of<std::int8_t>({2}, {-3, 4})})),
              ElementsAre(0, 4));
}

TEST(Activation, gelu_has_two_forms) {
  const Tensor in = Tensor::of<float>({3}, {-1, 0, 1});
  EXPECT_THAT(elements<float>(SingleNode("Gelu").run({in})),
              Pointwise(FloatNear(1e-6f), {-0.15865526f, 0.0f, 0.84134475f}));
  EXPECT_THAT(elements<float>(SingleNode("Gelu").with("approximate", std::string("tanh")).run({in})),
              Pointwise(FloatNear(1e-6f), {-0.15880801f, 0.0f, 0.84119199f}));
}

TEST(Clip, bounds_are_attributes_before_opset_11_and_operands_after) {
  const Tensor in = Tensor::of<float>({3}, {-2, 0.5f, 3});
  EXPECT_THAT(elements<float>(SingleNode("Clip", 10).with("max", 1.0f).run({in})), ElementsAre(-2, 0.5f, 1));
  EXPECT_THAT(elements<float>(SingleNode("Clip").run({in, Tensor{}, Tensor::scalar<float>(1)})),
              ElementsAre(-2, 0.5f, 1));
  EXPECT_THAT(elements<float>(SingleNode("Clip").run({in, Tensor::scalar<float>(2), Tensor::scalar<float>(1)})),
              ElementsAre(1, 1, 1));
}

TEST(Dropout, copies_in_inference_and_its_mask_changed_type_at_opset_10) {
  const Tensor in = Tensor::of<float>({2}, {1, 2});
  const auto old_style = SingleNode("Dropout", 7).with("ratio", 0.9f).run_all({in}, 2);
  EXPECT_THAT(elements<float>(old_style[0].tensor), ElementsAre(1, 2));
  EXPECT_THAT(elements<float>(old_style[1].tensor), ElementsAre(1, 1));
  const auto outputs = SingleNode("Dropout").run_all({in, Tensor::scalar(0.75f), Tensor::scalar(false)}, 2);
  EXPECT_THAT(elements<bool>(outputs[1].tensor), ElementsAre(true, true));
}

TEST(Dropout, training_scales_what_it_keeps) {
  const std::vector<float> ones(1000, 1.0f);
  const auto outputs = SingleNode("Dropout").run_all(
      {Tensor::of<float>({1000}, std::span<const float>(ones)), Tensor::scalar(0.75f), Tensor::scalar(true)}, 2);
  int kept = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    const bool mask = outputs[1].tensor.data<bool>()[i];
    EXPECT_EQ(outputs[0].tensor.data<float>()[i], mask ? 4.0f : 0.0f);
    kept += mask;
  }
  EXPECT_GT(kept, 180);
  EXPECT_LT(kept, 320);
}

TEST(Cast, reals_become_integers_towards_zero_and_keep_low_bits_or_saturate) {
  const Tensor in = Tensor::of<float>({6}, {1.9f, -1.9f, 300, -300, kInf, kNan});
  EXPECT_THAT(elements<std::int8_t>(SingleNode("Cast").with("to", std::int64_t{3}).run({in})),
              ElementsAre(1, -1, 44, -44, -1, 0));
  EXPECT_THAT(
      elements<bool>(SingleNode("Cast").with("to", std::int64_t{9}).run({Tensor::of<float>({3}, {0, 0.1f, kNan})})),
      ElementsAre(false, true, true));
  EXPECT_THAT(elements<std::int32_t>(
                  SingleNode("Cast").with("to", std::int64_t{6}).run({Tensor::of<float>({2}, {3e9f, -kInf})})),
              ElementsAre(2147483647, -2147483648));
  EXPECT_THAT(elements<std::uint64_t>(
                  SingleNode("Cast").with("to", std::int64_t{13}).run({Tensor::of<double>({2}, {-1, 0x1p63})})),
              ElementsAre(~std::uint64_t{0}, std::uint64_t{1} << 63));
}

TEST(Cast, integers_wrap) {
  EXPECT_THAT(elements<std::uint8_t>(
                  SingleNode("Cast").with("to", std::int64_t{2}).run({Tensor::of<std::int32_t>({2}, {257, -1})})),
              ElementsAre(1, 255));
}

TEST(Cast, strings_hold_the_shortest_number_that_reads_back) {
  const Tensor in = Tensor::of<float>({7}, {0.1f, 1000000, 1e-7f, -2.5f, kInf, kNan, 1e16f});
  const Tensor text = SingleNode("Cast").with("to", std::int64_t{8}).run({in});
  EXPECT_THAT(elements<std::string>(text), ElementsAre("0.1", "1000000.0", "1e-07", "-2.5", "inf", "nan", "1e+16"));
  const Tensor back = SingleNode("Cast").with("to", std::int64_t{1}).run({text});
  EXPECT_EQ(back.data<float>()[0], 0.1f);
  EXPECT_EQ(back.data<float>()[4], kInf);
  EXPECT_TRUE(std::isnan(back.data<float>()[5]));
}

TEST(Cast, text_that_is_no_number_is_refused) {
  try {
    SingleNode("Cast").with("to", std::int64_t{1}).run({Tensor::scalar<std::string>("three")});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
  }
}

TEST(Cast, narrow_types_are_refused_by_name) {
  try {
    SingleNode("Cast").with("to", std::int64_t{17}).run({Tensor::scalar<float>(1)});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("f8e4m3fn"));
  }
}

TEST(BitCast, keeps_the_bits) {
  EXPECT_THAT(elements<std::int32_t>(SingleNode("BitCast").with("to", std::int64_t{6}).run({Tensor::scalar(1.0f)})),
              ElementsAre(0x3f800000));
}

TEST(Constant, every_attribute_form_has_its_type) {
  EXPECT_EQ(SingleNode("Constant").with("value_float", 2.5f).run({}).data<float>()[0], 2.5f);
  const Tensor ints = SingleNode("Constant").with("value_ints", std::vector<std::int64_t>{4, 5}).run({});
  EXPECT_THAT(elements<std::int64_t>(ints), ElementsAre(4, 5));
  EXPECT_EQ(SingleNode("Constant").with("value_string", std::string("x")).run({}).data<std::string>()[0], "x");
}

TEST(ConstantOfShape, fills_with_zero_or_the_value) {
  const Tensor shape = Tensor::of<std::int64_t>({2}, {2, 1});
  EXPECT_THAT(elements<float>(SingleNode("ConstantOfShape").run({shape})), ElementsAre(0, 0));
  const Tensor out = SingleNode("ConstantOfShape").with("value", Tensor::of<std::int32_t>({1}, {7})).run({shape});
  EXPECT_EQ(out.shape(), (Shape{2, 1}));
  EXPECT_THAT(elements<std::int32_t>(out), ElementsAre(7, 7));
}

TEST(EyeLike, marks_the_diagonal_k) {
  const Tensor out = SingleNode("EyeLike").with("k", std::int64_t{1}).run({Tensor::allocate(DType::i32, {2, 3})});
  EXPECT_THAT(elements<std::int32_t>(out), ElementsAre(0, 1, 0, 0, 0, 1));
}

TEST(Quantize, rounds_half_to_even_and_saturates_per_axis) {
  const Tensor data = Tensor::of<float>({2, 3}, {1, 3, 1000, 5, -15, -2000});
  const Tensor out = SingleNode("QuantizeLinear")
                         .with("axis", std::int64_t{0})
                         .run({data, Tensor::of<float>({2}, {2, 10}), Tensor::of<std::int8_t>({2}, {0, 1})});
  EXPECT_THAT(elements<std::int8_t>(out), ElementsAre(0, 2, 127, 1, -1, -128));
}

TEST(Quantize, blocks_share_a_scale_and_the_last_may_be_short) {
  const Tensor data = Tensor::of<std::int8_t>({1, 5}, {1, 2, 3, 4, 5});
  const Tensor out = SingleNode("DequantizeLinear")
                         .with("axis", std::int64_t{1})
                         .with("block_size", std::int64_t{2})
                         .run({data, Tensor::of<float>({1, 3}, {1, 10, 100})});
  EXPECT_THAT(elements<float>(out), ElementsAre(1, 2, 30, 40, 500));
}

TEST(Quantize, dynamic_range_includes_zero) {
  const auto outputs = SingleNode("DynamicQuantizeLinear").run_all({Tensor::of<float>({3}, {255, 51, 0})}, 3);
  EXPECT_THAT(elements<std::uint8_t>(outputs[0].tensor), ElementsAre(255, 51, 0));
  EXPECT_EQ(outputs[1].tensor.data<float>()[0], 1.0f);
  EXPECT_EQ(outputs[2].tensor.data<std::uint8_t>()[0], 0);
}

TEST(Strings, split_at_white_space_or_a_delimiter) {
  const auto words = SingleNode("StringSplit").run_all({Tensor::of<std::string>({2}, {" a  b ", "c"})}, 2);
  EXPECT_EQ(words[0].tensor.shape(), (Shape{2, 2}));
  EXPECT_THAT(elements<std::string>(words[0].tensor), ElementsAre("a", "b", "c", ""));
  EXPECT_THAT(elements<std::int64_t>(words[1].tensor), ElementsAre(2, 1));
  const auto fields = SingleNode("StringSplit")
                          .with("delimiter", std::string("-"))
                          .with("maxsplit", std::int64_t{1})
                          .run_all({Tensor::of<std::string>({1}, {"a-b-c"})}, 2);
  EXPECT_THAT(elements<std::string>(fields[0].tensor), ElementsAre("a", "b-c"));
}

TEST(Strings, normalizer_drops_stop_words) {
  const Tensor out = SingleNode("StringNormalizer")
                         .with("stopwords", std::vector<std::string>{"MONDAY"})
                         .with("case_change_action", std::string("UPPER"))
                         .run({Tensor::of<std::string>({2}, {"monday", "tuesday"})});
  EXPECT_THAT(elements<std::string>(out), ElementsAre("TUESDAY"));
}

}  // namespace
}  // namespace sparse_run::reference
