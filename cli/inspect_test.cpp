// Verdicts on sparsity.
#include "cli/inspect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sparse_run::cli {
namespace {

using testing::HasSubstr;

Sparsity with_zeros(double share, Sparsity::Pattern pattern = Sparsity::Pattern::unstructured) {
  Sparsity sparsity;
  sparsity.elements = 100'000;
  sparsity.zeros = static_cast<std::int64_t>(share * 100'000);
  sparsity.pattern = pattern;
  return sparsity;
}

TEST(Inspect, f32_pays_from_seventy_percent_zeros) {
  EXPECT_TRUE(judge_sparsity(with_zeros(0.9), DType::f32).pays);
  EXPECT_TRUE(judge_sparsity(with_zeros(0.7), DType::f32).pays);
  EXPECT_FALSE(judge_sparsity(with_zeros(0.65), DType::f32).pays);
  EXPECT_THAT(judge_sparsity(with_zeros(0.65), DType::f32).reason, HasSubstr("close"));
  EXPECT_THAT(judge_sparsity(with_zeros(0.3), DType::f32).reason, HasSubstr("dense"));
}

TEST(Inspect, int8_pays_earlier) { EXPECT_TRUE(judge_sparsity(with_zeros(0.66), DType::i8).pays); }

TEST(Inspect, no_zeros_and_small_weights_do_not_pay) {
  EXPECT_FALSE(judge_sparsity(with_zeros(0), DType::f32).pays);
  Sparsity small = with_zeros(0.9);
  small.elements = 100;
  small.zeros = 90;
  EXPECT_FALSE(judge_sparsity(small, DType::f32).pays);
}

TEST(Inspect, zero_channels_are_better_removed) {
  EXPECT_THAT(judge_sparsity(with_zeros(0.5, Sparsity::Pattern::channels), DType::f32).reason, HasSubstr("remove"));
}

}  // namespace
}  // namespace sparse_run::cli
