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

TEST(Inspect, zeros_pay_from_the_measured_share) {
  EXPECT_TRUE(judge_sparsity(with_zeros(0.9), 0.7).pays);
  EXPECT_TRUE(judge_sparsity(with_zeros(0.7), 0.7).pays);
  EXPECT_FALSE(judge_sparsity(with_zeros(0.65), 0.7).pays);
  EXPECT_TRUE(judge_sparsity(with_zeros(0.65), 0.6).pays);
  EXPECT_THAT(judge_sparsity(with_zeros(0.65), 0.7).reason, HasSubstr("close to the 70%"));
  EXPECT_THAT(judge_sparsity(with_zeros(0.3), 0.7).reason, HasSubstr("dense"));
  EXPECT_FALSE(judge_sparsity(with_zeros(0.99), 1).pays);
}

TEST(Inspect, no_zeros_and_small_weights_do_not_pay) {
  EXPECT_FALSE(judge_sparsity(with_zeros(0), 0.5).pays);
  Sparsity small = with_zeros(0.9);
  small.elements = 100;
  small.zeros = 90;
  EXPECT_FALSE(judge_sparsity(small, 0.5).pays);
}

TEST(Inspect, zero_channels_are_better_removed) {
  EXPECT_THAT(judge_sparsity(with_zeros(0.5, Sparsity::Pattern::channels), 0.7).reason, HasSubstr("remove"));
}

}  // namespace
}  // namespace sparse_run::cli
