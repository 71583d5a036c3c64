// Resize and Upsample against hand-computed values.
#include "cpu/reference/one_node_test.hpp"

namespace sparse_run::reference {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

std::vector<float> resize(Attributes attributes, std::vector<float> x, std::vector<float> scales, int opset = 19) {
  const auto n = static_cast<std::int64_t>(x.size());
  return elements<float>(run_one("Resize", opset, std::move(attributes),
                                 {Tensor::of<float>({n}, x), Value{}, Tensor::of<float>({1}, scales)})[0]);
}

Attributes mode(std::string name, std::string coordinates = "half_pixel") {
  return {{"mode", std::move(name)}, {"coordinate_transformation_mode", std::move(coordinates)}};
}

TEST(Resize, linear_coordinate_modes) {
  EXPECT_THAT(resize(mode("linear"), {0, 4}, {2}), ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(resize(mode("linear", "asymmetric"), {0, 4}, {2}), ElementsAre(0, 2, 4, 4));
  EXPECT_THAT(resize(mode("linear", "align_corners"), {0, 3}, {2}),
              ElementsAre(0, FloatNear(1, 1e-6F), FloatNear(2, 1e-6F), 3));
  EXPECT_THAT(resize(mode("linear", "pytorch_half_pixel"), {5, 4}, {0.5F}), ElementsAre(5));
}

TEST(Resize, nearest_modes_differ_at_ties) {
  const auto nearest = [](std::string rounding) {
    Attributes attributes = mode("nearest", "asymmetric");
    attributes["nearest_mode"] = std::move(rounding);
    return resize(attributes, {0, 1, 2}, {2});  // sources 0 0.5 1 1.5 2 2.5
  };
  EXPECT_THAT(nearest("round_prefer_floor"), ElementsAre(0, 0, 1, 1, 2, 2));
  EXPECT_THAT(nearest("round_prefer_ceil"), ElementsAre(0, 1, 1, 2, 2, 2));
  EXPECT_THAT(nearest("floor"), ElementsAre(0, 0, 1, 1, 2, 2));
  EXPECT_THAT(nearest("ceil"), ElementsAre(0, 1, 1, 2, 2, 2));
}

TEST(Resize, cubic_reproduces_a_line_inside) {
  const auto y = resize(mode("cubic"), {0, 1, 2, 3, 4, 5, 6, 7}, {2});
  EXPECT_NEAR(y[7], 3.25F, 0.05F);
  EXPECT_NEAR(y[8], 3.75F, 0.05F);
}

TEST(Resize, antialias_averages_what_shrinks) {
  Attributes attributes = mode("linear");
  attributes["antialias"] = std::int64_t{1};
  // sources 0.5 and 2.5; triangle of reach 2: weights 1/8 3/8 3/8 1/8, the edge repeated
  EXPECT_THAT(resize(attributes, {0, 8, 16, 24}, {0.5F}), ElementsAre(5, 19));
}

TEST(Resize, crop_extrapolates_outside) {
  Attributes attributes = mode("linear", "tf_crop_and_resize");
  attributes["extrapolation_value"] = -7.0F;
  const auto y = run_one("Resize", 13, attributes,
                         {Tensor::of<float>({3}, {0, 1, 2}), Tensor::of<float>({2}, {0.5F, 1.5F}), Value{},
                          Tensor::of<std::int64_t>({1}, {3})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(1, 2, -7));
}

TEST(Resize, aspect_ratio_and_axes) {
  const auto shape_with = [](std::string policy) {
    const auto y =
        run_one("Resize", 18, {{"keep_aspect_ratio_policy", std::move(policy)}, {"axes", Ints{1, 2}}},
                {Tensor::allocate(DType::u8, {3, 4, 8}), Value{}, Value{}, Tensor::of<std::int64_t>({2}, {8, 8})});
    return y[0].tensor.shape();
  };
  EXPECT_EQ(shape_with("stretch"), Shape({3, 8, 8}));
  EXPECT_EQ(shape_with("not_larger"), Shape({3, 4, 8}));
  EXPECT_EQ(shape_with("not_smaller"), Shape({3, 8, 16}));
}

TEST(Resize, nearest_moves_any_type) {
  const auto y =
      run_one("Resize", 10, {}, {Tensor::of<std::int64_t>({2}, {1LL << 60, 3}), Tensor::of<float>({1}, {2})});
  EXPECT_THAT(elements<std::int64_t>(y[0]), ElementsAre(1LL << 60, 1LL << 60, 3, 3));
}

TEST(Resize, bad_operands_are_refused) {
  const auto kind = [](std::vector<float> scales) { return kind_thrown([&] { resize({}, {1, 2}, scales); }); };
  EXPECT_EQ(kind({0}), ErrorKind::model);
  EXPECT_EQ(kind({-1}), ErrorKind::model);
  EXPECT_EQ(kind({std::numeric_limits<float>::quiet_NaN()}), ErrorKind::model);
  EXPECT_EQ(kind({3e38F}), ErrorKind::limit);
  EXPECT_EQ(kind_thrown([] { run_one("Resize", 19, {}, {Tensor::of<float>({1}, {1})}); }), ErrorKind::model);
}

TEST(Upsample, repeats_and_ends_with_opset_9) {
  const auto upsample = [](int opset) {
    return run_one("Upsample", opset, {}, {Tensor::of<float>({2}, {1, 2}), Tensor::of<float>({1}, {2})});
  };
  EXPECT_THAT(elements<float>(upsample(9)[0]), ElementsAre(1, 1, 2, 2));
  EXPECT_EQ(kind_thrown([&] { upsample(10); }), ErrorKind::unsupported);
}

}  // namespace
}  // namespace sparse_run::reference
