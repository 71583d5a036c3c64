// Where the nodes, edges and rows of one graph are once ranks share it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/distributed/graph_split.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run {

/// A rank's rows of nodes come in two blocks: those all of whose edges come from nodes of the rank itself, and the
/// others, which have to wait for rows of other ranks. Edges of a set come in the order of their targets' blocks.
inline constexpr std::size_t kBlocks = 2;
enum Block : std::size_t { kInner = 0, kBorder = 1 };

/// What one rank has to know. Numbers of own nodes count from 0 through both blocks. All index tensors are i32.
struct RankLayout {
  struct Set {
    std::array<Tensor, kBlocks> targets;  ///< per edge of a block, counted within the block
  };
  struct Gather {
    Tensor inner;  ///< per edge of the inner block, an own node
  };
  /// Rows that border edges read, compacted: own ones first, then those of other ranks, by rank.
  struct Halo {
    Tensor own;                                    ///< own nodes among the rows
    std::vector<std::int64_t> received;            ///< rows from each rank
    std::vector<std::vector<std::uint32_t>> sent;  ///< own nodes each rank needs
    std::vector<Tensor> border;                    ///< parallel to GraphSplit::halos[i]: per border edge, a row
    std::int64_t received_rows() const;
  };
  std::array<std::int64_t, kBlocks> nodes{};
  std::vector<Set> sets;
  std::vector<Gather> gathers;
  std::vector<Halo> halos;

  std::int64_t own() const { return nodes[kInner] + nodes[kBorder]; }
  std::int64_t edges(std::size_t set) const {
    return sets[set].targets[kInner].size() + sets[set].targets[kBorder].size();
  }

  void write(WireWriter& writer) const;
  /// Error(comm) for what does not fit `split`, or names rows that there are not.
  static RankLayout read(WireReader& reader, const GraphSplit& split, int ranks);
};

/// What rank 0 keeps: everybody's layout and whose row is whose.
struct GraphLayout {
  std::vector<RankLayout> ranks;
  std::vector<std::vector<std::uint32_t>> nodes;               ///< by rank: its nodes in its order
  std::vector<std::vector<std::vector<std::uint32_t>>> edges;  ///< by set and rank: its edges in its order
};

/// `numbers` (i32 or i64, any shape), negative ones counted from the end of `rows`. Error(input) for one out of range.
std::vector<std::uint32_t> checked_rows(const Tensor& numbers, std::int64_t rows);

/// `owner`: of each node. `targets` parallel to split.sets and `sources` parallel to split.gathers: checked_rows.
GraphLayout lay_out_graph(const GraphSplit& split, std::span<const std::uint32_t> owner, int ranks,
                          std::span<const std::vector<std::uint32_t>> targets,
                          std::span<const std::vector<std::uint32_t>> sources);

}  // namespace sparse_run
