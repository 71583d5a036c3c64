// Splitting the large weights of a graph over ranks, with exchanges where a rank needs what others computed.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// A value of which every rank has a part, and from which every rank gets the whole.
struct RowExchange {
  enum class Kind {
    gather,  ///< parts lie side by side along `axis`, rank r's from bounds[r] to bounds[r + 1]
    sum,     ///< parts are summands of the whole's shape, added in order of ranks
  };
  Kind kind = Kind::gather;
  ValueId part = kNoValue;   ///< in the local graph, an output of level `level`
  ValueId whole = kNoValue;  ///< an input of the local graph
  std::size_t axis = 0;
  std::vector<std::int64_t> bounds;
  Shape shape;  ///< of the whole; f32
  std::size_t level = 0;
};

/// One rank's share of a graph. Ranks have the same levels and exchanges, with parts of different sizes.
struct RowProgram {
  std::shared_ptr<const Graph> graph;       ///< inputs: those of the original, then wholes of exchanges
  std::vector<std::vector<NodeId>> levels;  ///< a level reads wholes of exchanges of earlier levels only
  std::vector<RowExchange> exchanges;       ///< in order of levels
  std::vector<ValueId> inputs;              ///< of the local graph, parallel to the original's inputs
  std::vector<ValueId> outputs;             ///< of the local graph, parallel to the original's outputs
  std::size_t split_nodes = 0;              ///< nodes of which each rank computes a part
};

struct RowSplitOptions {
  double link_bytes_per_s = 4e9;
  double link_latency_s = 30e-6;
  bool always = false;  ///< split whatever can be split, whether or not it pays: for tests
};

/// Products with constant weights are cut along their result's channels, balanced by non-zeros; where what they read is
/// cut already, along the summed dimension (the two cuts in turn as in Megatron-LM, Shoeybi et al. 2019); attention by
/// heads, convolutions by output channels, elementwise operators as their operands are. Everything else every rank
/// computes whole. A cut has to pay for its exchange. The result depends on `graph` and `ranks` alone but for the
/// parts' sizes.
RowProgram split_rows(const Graph& graph, int rank, int ranks, const RowSplitOptions& options = {});

/// Cuts [0, weights.size()) into `parts` runs of about equal weight that begin at multiples of `grain`.
std::vector<std::int64_t> balanced_bounds(const std::vector<double>& weights, int parts, std::int64_t grain);

}  // namespace sparse_run
