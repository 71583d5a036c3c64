// Convolutions against hand-computed values.
#include <numeric>

#include "cpu/reference/one_node_test.hpp"

namespace sparse_run::reference {
namespace {

using testing::ElementsAre;

Tensor iota(Shape shape) {
  Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
  std::iota(tensor.data<float>().begin(), tensor.data<float>().end(), 0.0F);
  return tensor;
}

Tensor ones(Shape shape) {
  Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
  for (float& value : tensor.data<float>()) value = 1;
  return tensor;
}

TEST(Conv, sums_the_window_without_padding) {
  const auto y = run_one("Conv", 11, {}, {iota({1, 1, 3, 3}), ones({1, 1, 2, 2})});
  EXPECT_EQ(y[0].tensor.shape(), Shape({1, 1, 2, 2}));
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(8, 12, 20, 24));
}

TEST(Conv, padding_counts_as_zero_and_bias_is_added) {
  const auto y = run_one("Conv", 11, {{"pads", Ints{1, 1, 1, 1}}},
                         {iota({1, 1, 2, 2}), ones({1, 1, 3, 3}), Tensor::of<float>({1}, {10})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(16, 16, 16, 16));
}

TEST(Conv, strides_and_dilations_in_one_dimension) {
  // taps 2 apart, windows 2 apart: 0+2, 2+4, 4+6
  const auto y =
      run_one("Conv", 22, {{"strides", Ints{2}}, {"dilations", Ints{2}}}, {iota({1, 1, 7}), ones({1, 1, 2})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(2, 6, 10));
}

TEST(Conv, groups_see_their_own_channels_only) {
  const auto y = run_one("Conv", 11, {{"group", std::int64_t{2}}},
                         {Tensor::of<float>({1, 2, 2}, {1, 2, 3, 4}), Tensor::of<float>({2, 1, 1}, {10, 100})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(10, 20, 300, 400));
}

TEST(Conv, same_lower_puts_the_odd_padding_first) {
  const auto lower = run_one("Conv", 11, {{"auto_pad", std::string("SAME_LOWER")}}, {iota({1, 1, 3}), ones({1, 1, 2})});
  EXPECT_THAT(elements<float>(lower[0]), ElementsAre(0, 1, 3));
  const auto upper = run_one("Conv", 11, {{"auto_pad", std::string("SAME_UPPER")}}, {iota({1, 1, 3}), ones({1, 1, 2})});
  EXPECT_THAT(elements<float>(upper[0]), ElementsAre(1, 3, 2));
}

TEST(Conv, three_dimensions) {
  const auto y = run_one("Conv", 11, {}, {iota({1, 1, 2, 2, 2}), ones({1, 1, 2, 2, 2})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(28));
}

TEST(Conv, infinite_weight_over_padding_gives_no_nan) {
  const float inf = std::numeric_limits<float>::infinity();
  const auto y = run_one("Conv", 11, {{"pads", Ints{1, 0}}},
                         {Tensor::of<float>({1, 1, 1}, {2}), Tensor::of<float>({1, 1, 2}, {inf, 3})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(6));
}

TEST(Conv, empty_batch_gives_an_empty_result) {
  const auto y = run_one("Conv", 11, {}, {ones({0, 1, 3}), ones({4, 1, 2})});
  EXPECT_EQ(y[0].tensor.shape(), Shape({0, 4, 2}));
}

TEST(Conv, half_precision_accumulates_wider) {
  std::vector<Float16> x(2049, Float16(1.0F));
  const auto y = run_one("Conv", 11, {}, {Tensor::of<Float16>({1, 2049, 1}, x), Tensor::of<Float16>({1, 2049, 1}, x)});
  EXPECT_EQ(float(elements<Float16>(y[0])[0]), 2048.0F);  // 2049 rounds to even
}

TEST(ConvTranspose, scatters_and_overlaps) {
  const auto y = run_one("ConvTranspose", 11, {{"strides", Ints{2}}},
                         {Tensor::of<float>({1, 1, 2}, {1, 10}), Tensor::of<float>({1, 1, 3}, {1, 2, 3})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(1, 2, 13, 20, 30));
}

TEST(ConvTranspose, output_padding_and_groups) {
  const auto y =
      run_one("ConvTranspose", 11, {{"strides", Ints{2}}, {"output_padding", Ints{1}}, {"group", std::int64_t{2}}},
              {Tensor::of<float>({1, 2, 1}, {1, 10}), Tensor::of<float>({2, 1, 1}, {3, 4})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(3, 0, 40, 0));
}

TEST(ConvTranspose, output_shape_decides_the_padding) {
  const auto y = run_one("ConvTranspose", 11, {{"strides", Ints{2}}, {"output_shape", Ints{4}}},
                         {Tensor::of<float>({1, 1, 2}, {1, 10}), Tensor::of<float>({1, 1, 3}, {1, 2, 3})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(2, 13, 20, 30));
}

TEST(ConvInteger, subtracts_zero_points) {
  const auto y = run_one("ConvInteger", 10, {{"pads", Ints{1, 0}}},
                         {Tensor::of<std::uint8_t>({1, 1, 2}, {5, 7}), Tensor::of<std::int8_t>({1, 1, 2}, {1, -2}),
                          Tensor::scalar<std::uint8_t>(5), Tensor::scalar<std::int8_t>(1)});
  // x - 5: 0 2; w - 1: 0 -3; padding is zero
  EXPECT_THAT(elements<std::int32_t>(y[0]), ElementsAre(0, -6));
}

TEST(QLinearConv, scales_per_output_channel_and_saturates) {
  const auto y =
      run_one("QLinearConv", 10, {},
              {Tensor::of<std::uint8_t>({1, 1, 2}, {10, 200}), Tensor::scalar(0.5F), Tensor::scalar<std::uint8_t>(0),
               Tensor::of<std::int8_t>({2, 1, 1}, {1, 2}), Tensor::of<float>({2}, {1.0F, 2.0F}),
               Tensor::of<std::int8_t>({2}, {0, 0}), Tensor::scalar(1.0F), Tensor::scalar<std::uint8_t>(3),
               Tensor::of<std::int32_t>({2}, {1, 0})});
  // channel 0: (10+1)/2 + 3 = 5.5 → 6+3 (half to even), (200+1)/2 = 100.5 → 100; channel 1: 20*2*0.5=20, 400 → 255
  EXPECT_THAT(elements<std::uint8_t>(y[0]), ElementsAre(9, 103, 23, 255));
}

TEST(DeformConv, offsets_interpolate_and_mask_scales) {
  // one tap, moved half a pixel to the right
  const auto y =
      run_one("DeformConv", 19, {},
              {iota({1, 1, 1, 3}), ones({1, 1, 1, 1}), Tensor::of<float>({1, 2, 1, 3}, {0, 0, 0, 0.5F, 0.5F, 0.5F}),
               Tensor::of<float>({1}, {1}), Tensor::of<float>({1, 1, 1, 3}, {1, 1, 2})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(1.5F, 2.5F, 3.0F));  // last: half of 2 inside, half outside, doubled
}

TEST(CausalConvWithState, carries_the_last_inputs) {
  const auto y = run_one("CausalConvWithState", 27, {},
                         {Tensor::of<float>({1, 1, 2}, {1, 2}), Tensor::of<float>({1, 1, 3}, {100, 10, 1}), Value{},
                          Tensor::of<float>({1, 1, 2}, {3, 4})},
                         2);
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(341, 412));
  EXPECT_THAT(elements<float>(y[1]), ElementsAre(1, 2));
}

TEST(Conv, contradictions_are_refused) {
  EXPECT_EQ(kind_thrown([] { run_one("Conv", 11, {}, {ones({1, 3, 4, 4}), ones({1, 2, 2, 2})}); }), ErrorKind::model);
  EXPECT_EQ(kind_thrown([] { run_one("Conv", 11, {}, {ones({1, 1, 2, 2}), ones({1, 1, 3, 3})}); }), ErrorKind::model);
  EXPECT_EQ(kind_thrown([] {
              run_one("Conv", 11, {}, {ones({1, 1, 4}), ones({2, 1, 2}), ones({3})});
            }),
            ErrorKind::model);
}

}  // namespace
}  // namespace sparse_run::reference
