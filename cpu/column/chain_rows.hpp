// Exact arithmetic of rows: what every node of a segment computes when a column of result rows runs through it.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/column/chain.hpp"

namespace sparse_run::cpu {

/// Consecutive nodes that run depth-first. Only the last one's result is read from outside.
struct Segment {
  int begin = 0, end = 0;  ///< nodes
  int strips = 1;          ///< parts of the result's rows, each a task
  int chunk = 1;           ///< result rows a strip advances at a time

  int rows(const Chain& chain) const { return chain.nodes[static_cast<std::size_t>(end - 1)].rows; }
  /// Rows [strip_begin(i), strip_begin(i + 1)) of the result belong to strip i.
  int strip_begin(const Chain& chain, int strip) const {
    return static_cast<int>(std::int64_t{rows(chain)} * strip / strips);
  }
};

/// True when nodes [begin, end) may be a segment.
bool is_segment(const Chain& chain, int begin, int end);

/// One advance of a strip. Row numbers below 0 or beyond the height are padding, stored as zeros.
struct Chunk {
  struct Rows {
    int begin = 0, end = 0;  ///< rows the node adds
    int low = 0;             ///< first row of its result that this chunk and later ones read
  };
  std::vector<Rows> nodes;  ///< of the segment
};

/// How one strip runs.
struct StripWalk {
  std::vector<Chunk> chunks;
  std::vector<int> capacity;  ///< rows each node's result must have room for; 0 for the last node

  static StripWalk of(const Chain& chain, const Segment& segment, int strip);
};

/// Rows each node of the segment computes over all strips, padding not counted. What exceeds the node's height is
/// computed more than once: the price of the overlap between strips.
std::vector<std::int64_t> rows_computed(const Chain& chain, const Segment& segment);

/// Rows of a value from outside that a strip reads.
struct RowRange {
  int begin = 0, end = 0;
};
RowRange rows_read(const Chain& chain, const Segment& segment, const StripWalk& walk, int value);

}  // namespace sparse_run::cpu
