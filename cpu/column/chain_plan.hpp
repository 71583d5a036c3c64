// Where a chain stops: cutting it into segments, each with its strips, by predicted time.
#pragma once

#include <cstddef>
#include <vector>

#include "cpu/column/chain_rows.hpp"
#include "cpu/column/column_mode.hpp"

namespace sparse_run::cpu {

/// What a cut is judged by.
struct ChainCosts {
  int threads = 1;
  std::size_t private_cache = std::size_t{1} << 20;  ///< bytes of the outermost cache a core has for itself
  double sparse_rate = 85e9;                         ///< flop/s of one thread on sparse weights
  double dense_rate = 180e9;                         ///< on dense weights
  double outer_bandwidth = 24e9;                     ///< bytes/s of one thread beyond the private cache
};

/// Predicted seconds of one thread for a segment, all strips; its strips and chunk are what is judged.
double segment_seconds(const Chain& chain, const Segment& segment, const ChainCosts& costs);

/// Segments that cover the chain in order. Dynamic programming over the places to stop; each segment's strips and chunk
/// are the best of a few.
std::vector<Segment> plan_segments(const Chain& chain, const ChainCosts& costs, ColumnMode mode);

}  // namespace sparse_run::cpu
