// Ranges balance nodes and edges as documented; METIS keeps neighbours together.
#include "runtime/distributed/node_owners.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.hpp"

namespace sparse_run {
namespace {

using Numbers = std::vector<std::uint32_t>;

TEST(NodeOwners, ranges_end_where_nodes_and_edges_reach_their_share) {
  // Weights, one and the edges into a node: 1, 4, 1, 2, 1, 1: ten together, five of them after two nodes.
  const Numbers sources = {0, 0, 0, 5}, targets = {1, 1, 1, 3};
  EXPECT_EQ(cut_into_ranges(6, {sources, targets}, 2), (Numbers{0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(cut_into_ranges(6, {sources, targets}, 1), (Numbers{0, 0, 0, 0, 0, 0}));
}

TEST(NodeOwners, more_ranks_than_nodes_leave_ranks_without_any) {
  const Numbers owner = cut_into_ranges(2, {}, 5);
  EXPECT_EQ(owner.size(), 2u);
  EXPECT_NE(owner[0], owner[1]);
  EXPECT_TRUE(cut_into_ranges(0, {}, 3).empty());
}

TEST(NodeOwners, a_node_with_most_edges_does_not_starve_the_ranks_after_it) {
  const Numbers sources(100, 1), targets(100, 0);
  const Numbers owner = cut_into_ranges(4, {sources, targets}, 3);
  EXPECT_EQ(owner.front(), 0u);
  for (std::size_t i = 1; i < owner.size(); ++i) EXPECT_EQ(owner[i], 2u);
}

/// Two cliques of `size` nodes, even and odd numbers, with one edge between them, a self loop and duplicates.
std::pair<Numbers, Numbers> two_cliques(std::uint32_t size) {
  Numbers sources = {0, 0, 2, 2}, targets = {1, 0, 4, 4};
  for (std::uint32_t a = 0; a < 2 * size; ++a) {
    for (std::uint32_t b = a + 2; b < 2 * size; b += 2) {
      sources.push_back(a);
      targets.push_back(b);
    }
  }
  return {sources, targets};
}

TEST(NodeOwners, metis_separates_what_is_hardly_connected) {
  if (!has_metis()) GTEST_SKIP() << "this build has no METIS";
  const auto [sources, targets] = two_cliques(20);
  const Numbers owner = cut_with_metis(40, {sources, targets}, 2);
  ASSERT_EQ(owner.size(), 40u);
  EXPECT_NE(owner[0], owner[1]);
  for (std::size_t node = 2; node < owner.size(); ++node) EXPECT_EQ(owner[node], owner[node % 2]) << "node " << node;
}

TEST(NodeOwners, metis_takes_graphs_without_edges_or_nodes) {
  if (!has_metis()) GTEST_SKIP() << "this build has no METIS";
  EXPECT_TRUE(cut_with_metis(0, {}, 2).empty());
  for (const std::uint32_t part : cut_with_metis(7, {}, 3)) EXPECT_LT(part, 3u);
}

TEST(NodeOwners, a_build_without_metis_says_so_and_uses_ranges) {
  const auto [sources, targets] = two_cliques(4);
  const auto [owner, name] = cut_nodes(NodeCut::best, 8, {sources, targets}, 2);
  EXPECT_EQ(name, has_metis() ? "METIS" : "ranges");
  EXPECT_EQ(std::set<std::uint32_t>(owner.begin(), owner.end()).size(), 2u);
  EXPECT_EQ(cut_nodes(NodeCut::ranges, 8, {sources, targets}, 2).second, "ranges");
  if (!has_metis()) {
    EXPECT_THROW(cut_with_metis(8, {sources, targets}, 2), Error);
  }
}

}  // namespace
}  // namespace sparse_run
