// Products and convolutions in less than f32: operands are rounded once, sums and results stay in f32, and what cannot
// be rounded is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/float16.hpp"
#include "gpu/cuda/kernels/rounding.hpp"
#include "tests/cuda/node_trial.hpp"

namespace sparse_run::gpu::cuda {
namespace {

using testing::HasSubstr;

TEST(Rounding, is_that_of_the_standard_for_every_kind_of_number) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::vector<float> numbers{0.0f,
                             -0.0f,
                             1.0f,
                             65504.0f,
                             65519.0f,
                             65520.0f,
                             -1e30f,
                             6e-8f,
                             2.98e-8f,
                             2.9802322e-8f,
                             std::numeric_limits<float>::infinity(),
                             1.0009765625f,
                             1.00048828125f,
                             6.1035156e-5f,
                             6.097e-5f,
                             0.33325195f};
  for (int i = 0; i < 100000; ++i) {
    const auto bits = static_cast<std::uint32_t>(random());
    float number;
    std::memcpy(&number, &bits, sizeof(number));
    if (!std::isnan(number)) numbers.push_back(number);
    numbers.push_back(std::ldexp(static_cast<float>(random()) * 0x1p-32f, static_cast<int>(random() % 44) - 27));
  }
  for (const float number : numbers) {
    ASSERT_EQ(rounded_to_f16(number), Float16(number).bits) << number;
    ASSERT_EQ(rounded_to_bf16(number), BFloat16(number).bits) << number;
  }
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(rounded_to_f16(nan) & 0x7e00, 0x7e00);
  EXPECT_EQ(rounded_to_bf16(nan) & 0x7fc0, 0x7fc0);
}

class LowerPrecision : public testing::TestWithParam<Precision> {
 protected:
  static GpuOptions options() { return {.precision = GetParam(), .generated = false}; }
  /// Units in the last place of the type: each operand is off by half of one.
  static double bound() { return GetParam() == Precision::bf16 ? 0x1p-8 : 0x1p-11; }
  static std::string name() { return std::string(to_string(GetParam())); }
  std::shared_ptr<Device> device_ = host_device(options());
  std::mt19937_64 random_{3};
};

INSTANTIATE_TEST_SUITE_P(Types, LowerPrecision, testing::Values(Precision::f16, Precision::bf16, Precision::tf32),
                         [](const auto& one) { return std::string(to_string(one.param)); });

TEST_P(LowerPrecision, products_of_a_constant_and_of_activations_keep_their_sums) {
  for (const bool constant : {true, false}) {
    NodeTrial trial("MatMul");
    trial.operand(random_tensor(random_, {5, 70}));
    const Tensor weights = random_tensor(random_, {70, 9});
    constant ? trial.constant(weights) : trial.operand(weights);
    const auto outcome = trial.run(*device_);
    EXPECT_EQ(outcome.kernel, "gpu.matmul.cublaslt." + name());
    // 70 products of numbers below one, each off by two roundings.
    const double error = divergence(outcome.results[0], trial.expected()[0].tensor);
    EXPECT_LT(error, 8 * bound());
    if (GetParam() != Precision::tf32) {
      EXPECT_GT(error, 1e-6) << "nothing was rounded";
    }
  }
}

TEST_P(LowerPrecision, batched_and_fused_products_too) {
  const NodeTrial batched =
      NodeTrial("MatMul").operand(random_tensor(random_, {3, 4, 10})).operand(random_tensor(random_, {3, 10, 6}));
  EXPECT_LT(divergence(batched.run(*device_).results[0], batched.expected()[0].tensor), 4 * bound());
  const NodeTrial gemm = NodeTrial("Gemm")
                             .with("transB", std::int64_t{1})
                             .operand(random_tensor(random_, {4, 10}))
                             .constant(random_tensor(random_, {6, 10}))
                             .constant(random_tensor(random_, {6}));
  const auto outcome = gemm.run(*device_);
  EXPECT_EQ(outcome.kernel, "gpu.matmul.cublaslt." + name());
  EXPECT_LT(divergence(outcome.results[0], gemm.expected()[0].tensor), 4 * bound());
}

TEST_P(LowerPrecision, convolutions_keep_bias_and_result_in_f32) {
  const NodeTrial trial = NodeTrial("Conv")
                              .with("pads", std::vector<std::int64_t>{1, 1, 1, 1})
                              .operand(random_tensor(random_, {2, 3, 6, 7}))
                              .constant(random_tensor(random_, {5, 3, 3, 3}))
                              .constant(random_tensor(random_, {5}));
  const auto outcome = trial.run(*device_);
  EXPECT_EQ(outcome.kernel, "gpu.conv.cudnn_fused." + name());
  EXPECT_LT(divergence(outcome.results[0], trial.expected()[0].tensor), 8 * bound());
}

TEST_P(LowerPrecision, kernels_without_it_are_named) {
  const auto bare = host_device(options(), true);
  const NodeTrial trial =
      NodeTrial("MatMul").operand(random_tensor(random_, {5, 7})).constant(random_tensor(random_, {7, 9}));
  const auto outcome = trial.run(*bare);
  EXPECT_EQ(outcome.kernel, "gpu.matmul.plain.f32");
  EXPECT_THAT(outcome.refusals, HasSubstr("gpu.matmul.plain.f32: it multiplies in f32, not in " + name()));
}

TEST(Precisions, are_not_used_unless_they_are_allowed) {
  std::mt19937_64 random(4);
  const NodeTrial trial =
      NodeTrial("MatMul").operand(random_tensor(random, {5, 7})).constant(random_tensor(random, {7, 9}));
  const auto device = host_device();
  const auto outcome = trial.run(*device);
  EXPECT_EQ(outcome.kernel, "gpu.matmul.cublaslt.f32");
  EXPECT_EQ(outcome.refusals.find("f16"), std::string::npos);
  try {
    trial.run(*device, "gpu.matmul.cublaslt.bf16");
    FAIL() << "a precision that was not allowed was used";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), HasSubstr("it needs --precision bf16"));
  }
}

TEST(Precisions, weights_beyond_the_range_of_f16_are_named_and_multiplied_more_precisely) {
  std::mt19937_64 random(4);
  Tensor weights = random_tensor(random, {7, 9});
  weights.data<float>()[3] = 70000;
  const NodeTrial trial = NodeTrial("MatMul").operand(random_tensor(random, {5, 7})).constant(weights);
  const auto outcome = trial.run(*host_device({.precision = Precision::f16, .generated = false}));
  EXPECT_EQ(outcome.kernel, "gpu.matmul.cublaslt.tf32");
  EXPECT_THAT(outcome.refusals, HasSubstr("70000 among its weights is beyond the range of f16"));
}

TEST(Precisions, convolutions_for_which_no_engine_is_found_are_named) {
  if (tested_gpu()) GTEST_SKIP() << "engines of a real library are not told what to refuse";
  std::mt19937_64 random(4);
  host_cuda::set_dnn_mood(host_cuda::DnnMood::no_halves);
  const NodeTrial trial =
      NodeTrial("Conv").operand(random_tensor(random, {1, 3, 6, 7})).constant(random_tensor(random, {5, 3, 3, 3}));
  const auto outcome = trial.run(*host_device({.precision = Precision::f16, .generated = false}));
  host_cuda::set_dnn_mood(host_cuda::DnnMood::willing);
  EXPECT_EQ(outcome.kernel, "gpu.conv.cudnn_fused.tf32");
  EXPECT_THAT(outcome.refusals, HasSubstr("gpu.conv.cudnn.f16: the library has no engine for it"));
  EXPECT_LT(divergence(outcome.results[0], trial.expected()[0].tensor), 1e-3);
}

}  // namespace
}  // namespace sparse_run::gpu::cuda
