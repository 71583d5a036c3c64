// The simplest sparse column kernel that still deserves the name: what the product's kernels must not fall under.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/column/aligned.hpp"
#include "cpu/sparse/csr.hpp"

namespace sparse_run::bench {

/// Weights cut into K tiles, rows in each tile sorted by their number of entries; columns of 64 lanes, each a
/// contiguous [k][64] block. No epilogue, no window, whole columns only. AVX-512.
class PrototypeColumns {
 public:
  static constexpr std::size_t kLanes = 64;

  PrototypeColumns(const cpu::Csr& weights, std::size_t k_tile);
  /// y[rows][64] = W · x[k][64].
  void run(const float* x, float* y) const noexcept;

 private:
  struct Entry {
    std::uint32_t at;
    float weight;
  };
  struct Run {
    std::uint32_t entries, rows;
  };
  struct Tile {
    std::vector<Entry> entries;
    std::vector<std::uint32_t> rows;
    std::vector<Run> runs;
  };
  std::size_t k_tile_;
  std::vector<Tile> tiles_;
};

}  // namespace sparse_run::bench
