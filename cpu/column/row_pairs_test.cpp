// Rows are paired once each, with partners that read what they read.
#include "cpu/column/row_pairs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "cpu/column/column_test_support.hpp"

namespace sparse_run::cpu {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<RowPair> pairs_of(const std::vector<std::vector<std::uint32_t>>& rows, std::size_t width) {
  const std::vector<std::span<const std::uint32_t>> views(rows.begin(), rows.end());
  return pair_rows(views, width);
}

TEST(RowPairs, partners_share_columns) {
  const auto pairs = pairs_of({{0, 1, 2, 70}, {3, 4, 5}, {1, 2, 70}, {3, 4, 5, 6}}, 71);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].first, 0u);
  EXPECT_EQ(pairs[0].second, 2u);
  EXPECT_THAT(pairs[0].shared, ElementsAre(1, 2, 70));
  EXPECT_EQ(pairs[1].first, 3u);
  EXPECT_EQ(pairs[1].second, 1u);
  EXPECT_THAT(pairs[1].shared, ElementsAre(3, 4, 5));
}

TEST(RowPairs, pairs_list_equally_many_columns_or_none) {
  // rows 0 to 3 may share two columns; 4 and 5 share one, which is not worth it
  const auto pairs = pairs_of({{0, 1, 2}, {0, 1, 3}, {4, 5, 6}, {4, 5, 7}, {8, 9}, {9, 10}}, 11);
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_THAT(pairs[0].shared, ElementsAre(0, 1));
  EXPECT_THAT(pairs[1].shared, ElementsAre(4, 5));
  EXPECT_EQ(pairs[2].second, 5u);
  EXPECT_THAT(pairs[2].shared, IsEmpty());
}

TEST(RowPairs, a_row_left_over_is_alone) {
  const auto pairs = pairs_of({{0}, {1}, {0}}, 2);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_FALSE(pairs[0].alone());
  EXPECT_EQ(pairs[0].second, 2u);
  EXPECT_TRUE(pairs[1].alone());
  EXPECT_EQ(pairs[1].first, 1u);
  EXPECT_THAT(pairs[1].shared, IsEmpty());
}

TEST(RowPairs, no_rows_and_rows_without_entries_are_paired_too) {
  EXPECT_THAT(pairs_of({}, 5), IsEmpty());
  const auto pairs = pairs_of({{}, {}, {}}, 0);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_TRUE(pairs[1].alone());
}

TEST(RowPairs, every_row_is_in_one_pair_and_shared_columns_are_of_both) {
  std::mt19937 random = seeded_random();
  for (int trial = 0; trial < 50; ++trial) {
    const auto count = std::uniform_int_distribution<std::size_t>(0, 150)(random);
    const auto width = std::uniform_int_distribution<std::uint32_t>(1, 200)(random);
    std::bernoulli_distribution entry(std::uniform_real_distribution<double>(0, 0.5)(random));
    std::vector<std::vector<std::uint32_t>> rows(count);
    for (auto& row : rows) {
      for (std::uint32_t column = 0; column < width; ++column) {
        if (entry(random)) row.push_back(column);
      }
    }
    std::vector<int> seen(count, 0);
    std::size_t shared = 0;
    for (const RowPair& pair : pairs_of(rows, width)) {
      ++seen[pair.first];
      if (!pair.alone()) ++seen[pair.second];
      EXPECT_GE(rows[pair.first].size(), rows[pair.second].size());
      for (const std::uint32_t row : {pair.first, pair.second}) {
        EXPECT_TRUE(std::includes(rows[row].begin(), rows[row].end(), pair.shared.begin(), pair.shared.end()));
      }
      if (pair.shared.empty()) continue;
      EXPECT_FALSE(pair.alone());
      EXPECT_TRUE(shared == 0 || pair.shared.size() == shared);
      shared = pair.shared.size();
    }
    EXPECT_THAT(seen, testing::Each(1));
  }
}

}  // namespace
}  // namespace sparse_run::cpu
