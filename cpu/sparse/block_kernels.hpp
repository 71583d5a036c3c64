// The kernels for weights in groups of four rows as function pointers, one set per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/column/column.hpp"
#include "cpu/column/epilogue.hpp"
#include "cpu/isa.hpp"

namespace sparse_run::cpu {

inline constexpr std::size_t kSparseBlockRows = 4;
/// Room for the collected panel of a K tile, on the kernel's stack.
inline constexpr std::size_t kSparseBlockPanelFloats = 8192;

/// Four rows within one K tile.
struct SparseBlockGroup {
  std::uint32_t row;      ///< the first of them
  std::uint32_t entries;  ///< columns in which any of them has one
};

struct SparseBlockTile {
  std::size_t k_begin, k_end;
  std::size_t first_entry, first_group, groups;
};

/// A view of what SparseBlocks owns.
struct SparseBlockPack {
  std::size_t rows;
  const SparseBlockTile* tiles;
  std::size_t tile_count;  ///< at least 1; every group occurs in the first and in the last
  const SparseBlockGroup* groups;
  const std::uint16_t* at;  ///< places in the panel, in floats
  const float* weights;     ///< four to an entry
};

struct SparseBlockKernels {
  Isa isa;
  int width;
  int vectors;  ///< lanes of a whole block, in vectors; the panel's pitch
  void (*run)(const SparseBlockPack&, const ColumnInput&, std::size_t lane_begin, std::size_t lane_end, float* y,
              std::size_t y_stride, const Epilogue&);
};

/// The kernels of a set that the processor must run (runnable_isas()).
const SparseBlockKernels& sparse_block_kernels(Isa isa) noexcept;

// One per translation unit block_kernels_<isa>.cpp.
extern const SparseBlockKernels kPortableSparseBlockKernels;
extern const SparseBlockKernels kAvx2SparseBlockKernels;
extern const SparseBlockKernels kAvx512SparseBlockKernels;

}  // namespace sparse_run::cpu
