// Percentiles against values computed by hand with numpy's definition.
#include "cli/statistics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sparse_run::cli {
namespace {

TEST(Statistics, quantiles_interpolate_between_neighbours) {
  const std::vector<double> sorted = {1, 2, 4, 8};
  EXPECT_DOUBLE_EQ(quantile(sorted, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(sorted, 0.5), 3);    // halfway between 2 and 4
  EXPECT_DOUBLE_EQ(quantile(sorted, 0.9), 6.8);  // position 2.7: 4 + 0.7 * 4
  EXPECT_DOUBLE_EQ(quantile(sorted, 1), 8);
}

TEST(Statistics, one_sample_is_every_quantile) {
  const auto summary = summarize({5});
  EXPECT_EQ(summary.count, 1u);
  for (const double value : {summary.min, summary.p50, summary.p99_9, summary.max, summary.mean}) EXPECT_EQ(value, 5);
}

TEST(Statistics, no_samples_are_all_zero) { EXPECT_EQ(summarize({}).count, 0u); }

TEST(Statistics, a_summary_needs_no_order) {
  const auto summary = summarize({8, 1, 4, 2});
  EXPECT_EQ(summary.min, 1);
  EXPECT_EQ(summary.max, 8);
  EXPECT_DOUBLE_EQ(summary.mean, 3.75);
  EXPECT_DOUBLE_EQ(summary.p50, 3);
  EXPECT_NEAR(summary.standard_deviation, 2.6810, 1e-4);
}

TEST(Statistics, steady_samples_are_quiet_and_scattered_ones_noisy) {
  std::vector<double> steady(100, 10.0);
  for (std::size_t i = 0; i < steady.size(); ++i) steady[i] += 0.01 * static_cast<double>(i % 7);
  EXPECT_EQ(noise_warning(summarize(steady)), "");
  for (std::size_t i = 0; i < steady.size(); i += 5) steady[i] *= 3;
  EXPECT_THAT(noise_warning(summarize(steady)), testing::HasSubstr("noisy"));
  EXPECT_EQ(noise_warning(summarize({1, 9})), "") << "two samples are no evidence";
}

}  // namespace
}  // namespace sparse_run::cli
