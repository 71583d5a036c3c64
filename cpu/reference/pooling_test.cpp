// Poolings against hand-computed values.
#include <cmath>
#include <limits>

#include "cpu/reference/one_node_test.hpp"

namespace sparse_run::reference {
namespace {

using testing::ElementsAre;

TEST(MaxPool, gives_maxima_and_their_flat_indices) {
  const auto y =
      run_one("MaxPool", 12, {{"kernel_shape", Ints{2, 2}}}, {Tensor::of<float>({1, 1, 2, 3}, {1, 5, 2, 4, 3, 6})}, 2);
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(5, 6));
  EXPECT_THAT(elements<std::int64_t>(y[1]), ElementsAre(1, 5));
}

TEST(MaxPool, column_major_indices) {
  const auto y = run_one("MaxPool", 12, {{"kernel_shape", Ints{2, 2}}, {"storage_order", std::int64_t{1}}},
                         {Tensor::of<float>({1, 1, 2, 3}, {1, 5, 2, 4, 3, 6})}, 2);
  EXPECT_THAT(elements<std::int64_t>(y[1]), ElementsAre(2, 5));
}

TEST(MaxPool, ceil_mode_keeps_the_partial_window) {
  const Tensor x = Tensor::of<float>({1, 1, 5}, {1, 2, 3, 4, 9});
  const auto floor = run_one("MaxPool", 12, {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}}, {x});
  EXPECT_THAT(elements<float>(floor[0]), ElementsAre(2, 4));
  const auto ceil =
      run_one("MaxPool", 12, {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}, {"ceil_mode", std::int64_t{1}}}, {x});
  EXPECT_THAT(elements<float>(ceil[0]), ElementsAre(2, 4, 9));
}

TEST(MaxPool, nan_propagates_and_bytes_are_exact) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto y = run_one("MaxPool", 12, {{"kernel_shape", Ints{3}}}, {Tensor::of<float>({1, 1, 3}, {1, nan, 9})});
  EXPECT_TRUE(std::isnan(elements<float>(y[0])[0]));
  const auto bytes =
      run_one("MaxPool", 12, {{"kernel_shape", Ints{2}}}, {Tensor::of<std::int8_t>({1, 1, 3}, {-128, -5, 127})});
  EXPECT_THAT(elements<std::int8_t>(bytes[0]), ElementsAre(-5, 127));
}

TEST(MaxPool, dilation) {
  const auto y = run_one("MaxPool", 12, {{"kernel_shape", Ints{2}}, {"dilations", Ints{2}}},
                         {Tensor::of<float>({1, 1, 4}, {1, 9, 2, 3})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(2, 9));
}

TEST(AveragePool, padding_counts_only_when_asked) {
  const Tensor x = Tensor::of<float>({1, 1, 2}, {2, 4});
  const auto without = run_one("AveragePool", 22, {{"kernel_shape", Ints{2}}, {"pads", Ints{1, 1}}}, {x});
  EXPECT_THAT(elements<float>(without[0]), ElementsAre(2, 3, 4));
  const auto with =
      run_one("AveragePool", 22,
              {{"kernel_shape", Ints{2}}, {"pads", Ints{1, 1}}, {"count_include_pad", std::int64_t{1}}}, {x});
  EXPECT_THAT(elements<float>(with[0]), ElementsAre(1, 3, 2));
}

TEST(AveragePool, overhang_of_ceil_mode_never_counts) {
  const auto y = run_one("AveragePool", 22,
                         {{"kernel_shape", Ints{2}},
                          {"strides", Ints{2}},
                          {"ceil_mode", std::int64_t{1}},
                          {"count_include_pad", std::int64_t{1}}},
                         {Tensor::of<float>({1, 1, 3}, {2, 4, 6})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(3, 6));
}

TEST(AveragePool, absurd_kernel_and_padding_cost_nothing) {
  const std::int64_t huge = 2147483647;
  const auto y =
      run_one("AveragePool", 22, {{"kernel_shape", Ints{huge}}, {"pads", Ints{huge, 0}}, {"strides", Ints{huge}}},
              {Tensor::of<float>({1, 1, 2}, {2, 4})});
  EXPECT_EQ(y[0].tensor.shape(), Shape({1, 1, 1}));
}

TEST(LpPool, takes_the_norm) {
  const auto y = run_one("LpPool", 18, {{"kernel_shape", Ints{2}}}, {Tensor::of<float>({1, 1, 2}, {3, -4})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(testing::FloatNear(5, 1e-6F)));
}

TEST(GlobalPools, reduce_each_plane) {
  const Tensor x = Tensor::of<float>({1, 2, 2}, {1, 3, -4, -2});
  EXPECT_THAT(elements<float>(run_one("GlobalAveragePool", 1, {}, {x})[0]), ElementsAre(2, -3));
  EXPECT_THAT(elements<float>(run_one("GlobalMaxPool", 1, {}, {x})[0]), ElementsAre(3, -2));
  EXPECT_THAT(elements<float>(run_one("GlobalLpPool", 2, {{"p", std::int64_t{1}}}, {x})[0]), ElementsAre(4, 6));
}

TEST(MaxUnpool, puts_values_back_where_they_came_from) {
  const auto y = run_one("MaxUnpool", 11, {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}},
                         {Tensor::of<float>({1, 1, 2}, {5, 7}), Tensor::of<std::int64_t>({1, 1, 2}, {1, 2})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(0, 5, 7, 0));
}

TEST(MaxUnpool, index_outside_is_an_input_error) {
  EXPECT_EQ(kind_thrown([] {
              run_one("MaxUnpool", 11, {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}},
                      {Tensor::of<float>({1, 1, 1}, {5}), Tensor::of<std::int64_t>({1, 1, 1}, {2})});
            }),
            ErrorKind::input);
}

TEST(MaxRoiPool, pools_the_region) {
  const auto y =
      run_one("MaxRoiPool", 1, {{"pooled_shape", Ints{1, 2}}},
              {Tensor::of<float>({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6}), Tensor::of<float>({1, 5}, {0, 0, 0, 1, 1})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(4, 5));
}

TEST(RoiAlign, averages_bilinear_samples) {
  const auto y = run_one(
      "RoiAlign", 16,
      {{"output_height", std::int64_t{1}}, {"output_width", std::int64_t{1}}, {"sampling_ratio", std::int64_t{1}}},
      {Tensor::of<float>({1, 1, 2, 2}, {0, 1, 2, 3}), Tensor::of<float>({1, 4}, {0, 0, 2, 2}),
       Tensor::of<std::int64_t>({1}, {0})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(1.5F));  // centre of the image
}

}  // namespace
}  // namespace sparse_run::reference
