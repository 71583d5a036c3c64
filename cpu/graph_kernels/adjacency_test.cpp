// Edges are grouped like a stable sort would, whatever their number, order and type; and remembered by content.
#include "cpu/graph_kernels/adjacency.hpp"

#include <gmock/gmock.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace sparse_run::cpu {
namespace {

using ::testing::ElementsAre;

std::span<const std::uint32_t> view(const RowNumbers& numbers) { return {numbers.data(), numbers.size()}; }

Tensor targets_of(std::vector<std::int64_t> targets) {
  return Tensor::of<std::int64_t>({static_cast<std::int64_t>(targets.size())}, targets);
}

TEST(GroupEdges, keeps_the_order_of_edges_of_one_target) {
  const EdgeGroups groups = group_edges(targets_of({2, 0, 2, 3, 0}), 4);
  EXPECT_THAT(view(groups.begin), ElementsAre(0, 2, 2, 4, 5));
  EXPECT_THAT(view(groups.edge), ElementsAre(1, 4, 0, 2, 3));
}

TEST(GroupEdges, counts_negative_targets_from_the_end) {
  const EdgeGroups groups = group_edges(Tensor::of<std::int32_t>({3}, {-1, -4, 1}), 4);
  EXPECT_THAT(view(groups.begin), ElementsAre(0, 1, 2, 2, 3));
  EXPECT_THAT(view(groups.edge), ElementsAre(1, 2, 0));
}

TEST(GroupEdges, ascending_targets_need_no_permutation) {
  EXPECT_TRUE(group_edges(targets_of({0, 0, 1, 3}), 4).in_order());
  EXPECT_FALSE(group_edges(targets_of({0, 1, 0, 3}), 4).in_order());
}

TEST(GroupEdges, takes_graphs_without_edges_and_without_nodes) {
  EXPECT_THAT(view(group_edges(targets_of({}), 3).begin), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(view(group_edges(targets_of({}), 0).begin), ElementsAre(0));
}

TEST(GroupEdges, refuses_targets_out_of_range) {
  for (const std::int64_t target : {std::int64_t{4}, std::int64_t{-5}, INT64_MAX, INT64_MIN}) {
    try {
      group_edges(targets_of({0, target}), 4);
      FAIL() << target << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
    }
  }
}

TEST(GroupEdges, agrees_with_a_stable_sort_when_threads_share_the_work) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  tbb::task_arena arena(4);
  for (const std::int64_t rows : {1, 37, 20000}) {
    std::vector<std::int64_t> targets(300001);
    for (auto& target : targets) target = static_cast<std::int64_t>(random()) % rows;
    EdgeGroups groups;
    arena.execute([&] { groups = group_edges(targets_of(targets), rows); });
    std::vector<std::uint32_t> expected(targets.size());
    std::iota(expected.begin(), expected.end(), 0u);
    std::ranges::stable_sort(expected, {}, [&](std::uint32_t e) { return targets[e]; });
    if (rows > 1) {
      EXPECT_TRUE(std::ranges::equal(view(groups.edge), expected));
    } else {
      EXPECT_TRUE(groups.in_order());
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      ASSERT_EQ(groups.begin.data()[row + 1] - groups.begin.data()[row], std::ranges::count(targets, row));
      if (row > 100) break;
    }
  }
}

TEST(GroupEdges, orders_other_numbers_along) {
  const EdgeGroups groups = group_edges(targets_of({1, 0, 1}), 2);
  EXPECT_THAT(view(in_group_order(groups, targets_of({5, -1, 7}), 9)), ElementsAre(8, 5, 7));
  EXPECT_THROW(in_group_order(groups, targets_of({5, 9, 7}), 9), Error);
}

TEST(AdjacencyCache, gives_the_same_groups_for_the_same_contents) {
  std::vector<std::int64_t> targets(10000);
  for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = static_cast<std::int64_t>(i * 7919 % 1000);
  AdjacencyCache cache;
  const auto first = cache.groups(targets_of(targets), 1000);
  EXPECT_EQ(cache.groups(targets_of(targets), 1000), first);
  EXPECT_NE(cache.groups(targets_of(targets), 1001), first);
  const auto numbers = cache.numbers(first, targets_of(targets), 1000);
  EXPECT_EQ(cache.numbers(first, targets_of(targets), 1000), numbers);
  EXPECT_NE(cache.numbers(first, targets_of(targets), 1002), numbers);
  std::swap(targets[17], targets[18]);
  EXPECT_NE(cache.groups(targets_of(targets), 1000), first);
}

TEST(AdjacencyCache, forgets_the_oldest) {
  AdjacencyCache cache;
  const auto list = [&](std::int64_t k) { return targets_of(std::vector<std::int64_t>(9000, k)); };
  const auto first = cache.groups(list(0), 100);
  for (std::int64_t k = 1; k < 40; ++k) cache.groups(list(k), 100);
  EXPECT_NE(cache.groups(list(0), 100), first);
}

TEST(Fingerprint, depends_on_every_byte_on_length_and_on_the_secret) {
  std::vector<std::byte> bytes(200);
  const auto original = fingerprint(bytes, 1);
  for (auto& byte : bytes) {
    byte = std::byte{1};
    EXPECT_NE(fingerprint(bytes, 1), original);
    byte = std::byte{0};
  }
  EXPECT_NE(fingerprint(std::span(bytes).first(199), 1), original);
  EXPECT_NE(fingerprint(bytes, 2), original);
  EXPECT_EQ(fingerprint(bytes, 1), original);
}

TEST(GroupEdges, more_edges_or_nodes_than_numbers_count_are_refused_before_anything_is_read) {
  std::int32_t nothing = 0;
  const auto kind_of = [&](std::int64_t edges, std::int64_t rows) {
    try {
      group_edges(Tensor::view(DType::i32, {edges}, &nothing), rows);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::internal;
  };
  EXPECT_EQ(kind_of(kMostRows + 1, 4), ErrorKind::limit);
  EXPECT_EQ(kind_of(std::int64_t{1} << 40, 4), ErrorKind::limit);
  EXPECT_EQ(kind_of(1, kMostRows + 1), ErrorKind::limit);
}

}  // namespace
}  // namespace sparse_run::cpu
