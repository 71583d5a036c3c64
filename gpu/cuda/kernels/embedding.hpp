// Gathering rows of a table in CPU memory through a cache of rows on the GPU.
#pragma once

#include "gpu/cuda/kernels/block.hpp"

namespace sparse_run::gpu::cuda {

/// What one thread of lookups has seen so far.
struct RowCacheCounters {
  unsigned long long calls;
  unsigned long long hits;
  unsigned long long misses;
};

inline constexpr int kCacheWays = 8;  ///< places that a row may take

/// Where each of the rows that are asked for lies. The cache is set-associative: row r may lie in the kCacheWays places
/// of set r mod sets; the one of them that was used least recently makes room. A set belongs to one thread of the
/// launch, which goes through all indices in order: nothing is raced for, and results do not depend on scheduling.
/// places[i] becomes 2 · place, + 1 where the row has yet to be loaded into it; kReadTable where all places of its set
/// are taken by other rows of this call, kNoRow where the index is out of range, which sets *fault to 1 + its position.
struct RowCacheLookup {
  const void* indices;
  bool wide;  ///< indices are i64, not i32
  Index index_count;
  Index extent;  ///< rows of the table
  Index sets;
  Index* rows;                 ///< that lie in the places of the sets; -1: none
  unsigned long long* used;    ///< when a place was used: call · 2^32 + position
  RowCacheCounters* counters;  ///< one per thread of the launch
  Index* places;               ///< the result
  unsigned long long* fault;
};

inline constexpr Index kReadTable = -1;
inline constexpr Index kNoRow = -2;

SPARSE_RUN_DEVICE Index index_at(const void* indices, bool wide, Index position, Index extent) {
  const Index index = wide ? static_cast<const Index*>(indices)[position] : static_cast<const int*>(indices)[position];
  return index < 0 ? index + extent : index;
}

SPARSE_RUN_DEVICE void row_cache_lookup(const RowCacheLookup& p, const Block& block) {
  block.each_thread([&](unsigned thread) {
    const Index lanes = block.blocks * block.threads;
    const Index lane = block.index * block.threads + thread;
    RowCacheCounters& mine = p.counters[lane];
    const unsigned long long begin = ++mine.calls << 32;
    for (Index i = 0; i < p.index_count; ++i) {
      const Index row = index_at(p.indices, p.wide, i, p.extent);
      if (row < 0 || row >= p.extent) {
        if (lane == 0) {
          p.places[i] = kNoRow;
          *p.fault = static_cast<unsigned long long>(i) + 1;
        }
        continue;
      }
      const Index set = row % p.sets;
      if (set % lanes != lane) continue;
      const Index first = set * kCacheWays;
      Index oldest = first;
      Index place = -1;
      for (Index at = first; at < first + kCacheWays && place < 0; ++at) {
        if (p.rows[at] == row) place = at;
        if (p.used[at] < p.used[oldest]) oldest = at;
      }
      const bool hit = place >= 0;
      if (hit) {
        ++mine.hits;
        p.places[i] = 2 * place;
      } else {
        ++mine.misses;
        place = p.used[oldest] < begin ? oldest : -1;  // places that this call uses stay
        p.places[i] = place >= 0 ? 2 * place + 1 : kReadTable;
      }
      if (place < 0) continue;
      p.rows[place] = row;
      p.used[place] = begin + static_cast<unsigned long long>(i);
    }
  });
}

/// Copies rows: of those to be loaded, from the table to the cache (`loading`); otherwise of all that are asked for,
/// from the cache or the table to y[index_count][row_bytes].
struct RowCacheCopy {
  const unsigned char* table;  ///< in CPU memory, as kernels read it
  unsigned char* cache;
  unsigned char* y;
  const void* indices;
  bool wide;
  Index index_count;
  Index extent;
  Index row_bytes;
  int unit;  ///< bytes copied by one thread: 1, 4 or 8, dividing row_bytes
  const Index* places;
  bool loading;
};

SPARSE_RUN_DEVICE void row_cache_copy(const RowCacheCopy& p, const Block& block) {
  const Index units = p.row_bytes / p.unit;
  block.each_item(p.index_count * units, [&](Index i) {
    const Index position = i / units;
    const Index piece = i % units * p.unit;
    const Index place = p.places[position];
    if (place == kNoRow || (p.loading && (place < 0 || place % 2 == 0))) return;
    const bool from_table = p.loading || place == kReadTable;
    const unsigned char* from = from_table
                                    ? p.table + index_at(p.indices, p.wide, position, p.extent) * p.row_bytes + piece
                                    : p.cache + place / 2 * p.row_bytes + piece;
    unsigned char* to = p.loading ? p.cache + place / 2 * p.row_bytes + piece : p.y + position * p.row_bytes + piece;
    if (p.unit == 8) {
      *reinterpret_cast<unsigned long long*>(to) = *reinterpret_cast<const unsigned long long*>(from);
    } else if (p.unit == 4) {
      *reinterpret_cast<unsigned*>(to) = *reinterpret_cast<const unsigned*>(from);
    } else {
      *to = *from;
    }
  });
}

}  // namespace sparse_run::gpu::cuda
