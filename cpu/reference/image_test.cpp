// Sampling, rearranging and cropping of images against hand-computed values.
#include <limits>

#include "cpu/reference/one_node_test.hpp"

namespace sparse_run::reference {
namespace {

using testing::ElementsAre;

std::vector<float> sample_line(Attributes attributes, std::vector<float> at) {
  std::vector<float> grid;
  for (const float x : at) grid.insert(grid.end(), {x, 0});
  const auto n = static_cast<std::int64_t>(at.size());
  return elements<float>(
      run_one("GridSample", 20, std::move(attributes),
              {Tensor::of<float>({1, 1, 1, 3}, {10, 20, 30}), Tensor::of<float>({1, 1, n, 2}, grid)})[0]);
}

TEST(GridSample, interpolates_between_aligned_corners) {
  EXPECT_THAT(sample_line({{"align_corners", std::int64_t{1}}}, {-1, -0.5F, 0, 1}), ElementsAre(10, 15, 20, 30));
}

TEST(GridSample, padding_modes_decide_outside) {
  const auto padded = [](std::string padding) {
    return sample_line({{"mode", std::string("nearest")}, {"padding_mode", std::move(padding)}}, {-2.2F, 2.2F});
  };
  EXPECT_THAT(padded("zeros"), ElementsAre(0, 0));
  EXPECT_THAT(padded("border"), ElementsAre(10, 30));
  EXPECT_THAT(padded("reflection"), ElementsAre(20, 20));  // position -2.3, rounded to -2, folds at -0.5 to 1
}

TEST(GridSample, cubic_repeats_the_border_tap_by_tap) {
  // position 2.5, half way beyond the last element: taps 20 30 30 30 with weights -3/32 19/32 19/32 -3/32
  const auto y = sample_line({{"mode", std::string("cubic")}, {"padding_mode", std::string("border")}}, {1});
  EXPECT_THAT(y, ElementsAre(testing::FloatNear(30.9375F, 1e-4F)));
}

TEST(GridSample, what_is_not_a_number_reads_nothing) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_THAT(sample_line({}, {nan, inf, -inf, 1e30F}), ElementsAre(0, 0, 0, 0));
}

TEST(GridSample, three_dimensions) {
  const auto y =
      run_one("GridSample", 20, {{"align_corners", std::int64_t{1}}},
              {Tensor::of<float>({1, 1, 2, 1, 1}, {4, 8}), Tensor::of<float>({1, 1, 1, 1, 3}, {-1, -1, 0.5F})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(7));
}

TEST(AffineGrid, identity_gives_pixel_centres) {
  const auto y =
      run_one("AffineGrid", 20, {},
              {Tensor::of<float>({1, 2, 3}, {1, 0, 0, 0, 1, 0}), Tensor::of<std::int64_t>({4}, {1, 1, 1, 2})});
  EXPECT_EQ(y[0].tensor.shape(), Shape({1, 1, 2, 2}));
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(-0.5F, 0, 0.5F, 0));
}

TEST(Col2Im, sums_what_overlaps) {
  const auto y = run_one("Col2Im", 18, {},
                         {Tensor::of<float>({1, 2, 2}, {1, 2, 10, 20}), Tensor::of<std::int64_t>({1}, {3}),
                          Tensor::of<std::int64_t>({1}, {2})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(1, 12, 20));
}

TEST(Col2Im, columns_that_do_not_fit_are_refused) {
  EXPECT_EQ(kind_thrown([] {
              run_one("Col2Im", 18, {},
                      {Tensor::allocate(DType::f32, {1, 2, 3}), Tensor::of<std::int64_t>({1}, {3}),
                       Tensor::of<std::int64_t>({1}, {2})});
            }),
            ErrorKind::model);
}

TEST(CenterCropPad, crops_one_axis_and_pads_another) {
  const auto y = run_one("CenterCropPad", 18, {},
                         {Tensor::of<std::int32_t>({1, 4}, {1, 2, 3, 4}), Tensor::of<std::int64_t>({2}, {2, 1})});
  EXPECT_THAT(elements<std::int32_t>(y[0]), ElementsAre(2, 0));
}

TEST(DepthToSpace, orders_differ) {
  const Tensor x = Tensor::of<float>({1, 8, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  const auto dcr = run_one("DepthToSpace", 13, {{"blocksize", std::int64_t{2}}}, {x});
  EXPECT_THAT(elements<float>(dcr[0]), ElementsAre(0, 2, 4, 6, 1, 3, 5, 7));
  const auto crd = run_one("DepthToSpace", 13, {{"blocksize", std::int64_t{2}}, {"mode", std::string("CRD")}}, {x});
  EXPECT_THAT(elements<float>(crd[0]), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST(SpaceToDepth, undoes_depth_to_space) {
  const Tensor x = Tensor::of<float>({1, 8, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  const auto there = run_one("DepthToSpace", 13, {{"blocksize", std::int64_t{2}}}, {x});
  const auto back = run_one("SpaceToDepth", 13, {{"blocksize", std::int64_t{2}}}, {there[0]});
  EXPECT_EQ(elements<float>(back[0]), elements<float>(Value(x)));
}

}  // namespace
}  // namespace sparse_run::reference
