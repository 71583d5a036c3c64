// Window geometry: output sizes, paddings and refusals.
#include "graph/ops/window.hpp"

#include <gmock/gmock.h>

namespace sparse_run {
namespace {

using Ints = std::vector<std::int64_t>;

Node node_with(std::string op, std::map<std::string, Attribute, std::less<>> attributes) {
  Node node;
  node.op = std::move(op);
  node.opset = 22;
  node.attributes = std::move(attributes);
  return node;
}

ErrorKind kind_of(const Node& node, const Shape& input, const Shape& weights) {
  try {
    ConvGeometry::forward(node, input, weights);
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "no Error was thrown";
  return ErrorKind::internal;
}

TEST(ConvGeometry, resnet_stem) {
  const Node node = node_with("Conv", {{"strides", Ints{2, 2}}, {"pads", Ints{3, 3, 3, 3}}});
  const auto geometry = ConvGeometry::forward(node, {1, 3, 224, 224}, {64, 3, 7, 7});
  EXPECT_EQ(geometry.output_shape(), Shape({1, 64, 112, 112}));
  EXPECT_TRUE(geometry.known());
  EXPECT_EQ(geometry.axes[0].position(0, 0), -3);
  EXPECT_EQ(geometry.axes[1].position(2, 1), 2);
}

TEST(ConvGeometry, unknown_dimensions_stay_unknown) {
  const auto geometry = ConvGeometry::forward(node_with("Conv", {}), {-1, -1, -1, 8}, {4, 2, 3, 3});
  EXPECT_EQ(geometry.output_shape(), Shape({-1, 4, -1, 6}));
  EXPECT_EQ(geometry.in_channels, 2);
  EXPECT_FALSE(geometry.known());
}

TEST(ConvGeometry, same_padding_resolves_with_stride_and_dilation) {
  const Node node =
      node_with("Conv", {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2}}, {"dilations", Ints{2}}});
  const WindowAxis axis = ConvGeometry::forward(node, {1, 1, 7}, {1, 1, 3}).axes[0];
  EXPECT_EQ(axis.output, 4);  // ceil(7 / 2); covered: 3 * 2 + 5 = 11, padding 4
  EXPECT_EQ(axis.pad_begin, 2);
  EXPECT_EQ(axis.pad_end, 2);
}

TEST(ConvGeometry, absurd_attributes_are_refused) {
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_EQ(kind_of(node_with("Conv", {{"strides", Ints{0}}}), {1, 1, 4}, {1, 1, 2}), ErrorKind::model);
  EXPECT_EQ(kind_of(node_with("Conv", {{"dilations", Ints{huge}}}), {1, 1, 4}, {1, 1, 2}), ErrorKind::model);
  EXPECT_EQ(kind_of(node_with("Conv", {{"pads", Ints{-1, 0}}}), {1, 1, 4}, {1, 1, 2}), ErrorKind::model);
  EXPECT_EQ(kind_of(node_with("Conv", {{"pads", Ints{1}}}), {1, 1, 4}, {1, 1, 2}), ErrorKind::model);
  EXPECT_EQ(kind_of(node_with("Conv", {{"group", std::int64_t{0}}}), {1, 1, 4}, {1, 1, 2}), ErrorKind::model);
  EXPECT_EQ(kind_of(node_with("Conv", {{"group", std::int64_t{3}}}), {1, 3, 4}, {4, 1, 2}), ErrorKind::model);
  EXPECT_EQ(kind_of(node_with("Conv", {{"kernel_shape", Ints{3}}}), {1, 1, 4}, {1, 1, 2}), ErrorKind::model);
  EXPECT_EQ(kind_of(node_with("Conv", {{"auto_pad", std::string("BOTH")}}), {1, 1, 4}, {1, 1, 2}), ErrorKind::model);
  EXPECT_EQ(kind_of(node_with("Conv", {}), {1, 1}, {1, 1}), ErrorKind::model);
}

TEST(ConvGeometry, transposed_sizes) {
  const Node node =
      node_with("ConvTranspose", {{"strides", Ints{2}}, {"pads", Ints{1, 1}}, {"output_padding", Ints{1}}});
  const auto geometry = ConvGeometry::transposed(node, {1, 6, 5}, {6, 4, 3});
  EXPECT_EQ(geometry.output_shape(), Shape({1, 4, 10}));
}

TEST(ConvGeometry, transposed_sizes_that_overflow_are_a_limit) {
  const Node node = node_with("ConvTranspose", {{"strides", Ints{2147483647}}});
  try {
    ConvGeometry::transposed(node, {1, 1, std::int64_t{1} << 40}, {1, 1, 3});
    FAIL() << "no Error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::limit);
  }
}

TEST(PoolGeometry, ceil_mode_drops_windows_that_start_in_the_trailing_padding) {
  const auto output = [](Ints pads, std::int64_t ceil) {
    const Node node = node_with(
        "MaxPool", {{"kernel_shape", Ints{1}}, {"strides", Ints{2}}, {"pads", std::move(pads)}, {"ceil_mode", ceil}});
    return PoolGeometry::sliding(node, {1, 1, 2}).axes[0].output;
  };
  EXPECT_EQ(output({0, 0}, 0), 1);
  EXPECT_EQ(output({0, 0}, 1), 1);  // ceil would be 2, but that window starts at position 2
}

TEST(PoolGeometry, ceil_mode_keeps_a_window_that_overhangs_by_less_than_a_stride) {
  const auto output = [](std::int64_t stride) {
    const Node node =
        node_with("MaxPool", {{"kernel_shape", Ints{5}}, {"strides", Ints{stride}}, {"ceil_mode", std::int64_t{1}}});
    return PoolGeometry::sliding(node, {1, 1, 4}).axes[0].output;
  };
  EXPECT_EQ(output(3), 1);
  EXPECT_THROW(output(1), Error);
}

TEST(PoolGeometry, global_covers_everything) {
  const auto geometry = PoolGeometry::global({2, 3, 4, -1});
  EXPECT_EQ(geometry.output_shape(), Shape({2, 3, 1, 1}));
  EXPECT_EQ(geometry.axes[0].kernel, 4);
  EXPECT_FALSE(geometry.known());
}

}  // namespace
}  // namespace sparse_run
