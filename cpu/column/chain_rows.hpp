// Exact arithmetic of rows: what every node of a segment computes when a column of result rows runs through it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cpu/column/chain.hpp"

namespace sparse_run::cpu {

/// Consecutive nodes that run depth-first. Only the last one's result is read from outside.
struct Segment {
  int begin = 0, end = 0;  ///< nodes
  int strips = 1;          ///< parts of the result's rows, each a task
  int chunk = 1;           ///< result rows a strip advances at a time
  int bands = 1;           ///< parts of the result's width, each a task of every strip

  int rows(const Chain& chain) const { return chain.nodes[static_cast<std::size_t>(end - 1)].rows; }
  /// Rows [strip_begin(i), strip_begin(i + 1)) of the result belong to strip i.
  int strip_begin(const Chain& chain, int strip) const {
    return static_cast<int>(std::int64_t{rows(chain)} * strip / strips);
  }
};

/// Rows or positions [begin, end).
struct RowRange {
  int begin = 0, end = 0;

  int count() const noexcept { return end - begin; }
};

/// True when nodes [begin, end) may be a segment.
bool is_segment(const Chain& chain, int begin, int end);

/// True when a segment of these nodes may have several bands.
bool takes_bands(const Chain& chain, const Segment& segment);

/// Positions each node of the segment computes in one band, by node from the segment's first. Bands of the last node's
/// result meet; those of nodes before overlap where windows do.
std::vector<RowRange> band_columns(const Chain& chain, const Segment& segment, int band);

/// Positions of a value from outside that a band reads, padding left out. `columns` are the band's.
RowRange columns_read(const Chain& chain, const Segment& segment, std::span<const RowRange> columns, int value);

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

/// Positions each node of the segment computes over all strips and bands, padding not counted. What exceeds the node's
/// result is computed more than once: the price of the overlap between them. Nodes without a result in strips count
/// rows.
std::vector<std::int64_t> positions_computed(const Chain& chain, const Segment& segment);

/// Positions of a row of the node's result.
int row_positions(const Chain& chain, const ChainNode& node);

/// Rows of a value from outside that a strip reads, padding included.
RowRange rows_read(const Chain& chain, const Segment& segment, const StripWalk& walk, int value);

}  // namespace sparse_run::cpu
