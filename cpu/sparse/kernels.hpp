// The sparse kernels of one instruction set as function pointers, looked up once when weights are compiled.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/column/column.hpp"
#include "cpu/column/epilogue.hpp"
#include "cpu/isa.hpp"
#include "cpu/sparse/strip.hpp"

namespace sparse_run::cpu {

/// Room for the collected panel of a sparse K tile and its row of zeros, on the kernel's stack.
inline constexpr std::size_t kSparsePanelFloats = 12288;
/// Most vectors of lanes one pass over a sparse tile computes.
inline constexpr int kSparseVectors = 6;
/// Row pairs whose results are fetched ahead; the row list is that much longer than its pairs.
inline constexpr std::size_t kSparseLookahead = 2;
/// Bytes by which weights are fetched ahead: they stream from the outer caches, which the hardware alone hides badly.
inline constexpr std::size_t kSparseWeightsAhead = 2048;

/// Consecutive row pairs that have equally many steps.
struct SparseRun {
  std::uint32_t steps;
  std::uint32_t pairs;
};

/// One step of two rows: where in the panel their activations lie (in floats) and their weights. The shorter row of a
/// pair is filled up with weight 0 on the panel's row of zeros.
struct SparseStep {
  std::uint16_t at[2];
  float weight[2];
};
static_assert(sizeof(SparseStep) == 12);

/// The same with weights in bf16.
struct SparseHalfStep {
  std::uint16_t at[2];
  std::uint16_t weight[2];
};
static_assert(sizeof(SparseHalfStep) == 8);

/// The entries of one K tile, rows paired in descending order of their number of entries.
struct SparseTile {
  std::size_t k_begin, k_end;
  std::size_t first_step, first_row, first_run;  ///< positions in the arrays of SparsePack
  std::size_t runs;
  std::uint32_t pairs;  ///< of rows
  std::size_t zeros;    ///< place in the panel of a row of zeros
};

/// A view of what SparseColumns owns.
struct SparsePack {
  const SparseTile* tiles;
  std::size_t tile_count;  ///< at least 1; every row occurs in the first and in the last
  const SparseStep* steps;
  const SparseHalfStep* half_steps;  ///< in place of steps when not null; not with strips
  const std::uint32_t* rows;
  const SparseRun* runs;
  int vectors;               ///< lanes of a whole block, in vectors; the panel's pitch
  const StripLayout* strip;  ///< how the panel holds a strip of images; null: rows of X, one per column of W
};

/// Columns of W that 16-bit places reach: longer rows are cut into tiles.
inline constexpr std::size_t kSparseRowsTile = 65536;

/// One K tile of as many rows as a vector has lanes. In its first `whole` steps every row has an entry.
struct SparseSlice {
  std::size_t first_step;
  std::uint32_t steps;
  std::uint32_t whole;
};

/// A view of what SparseRows owns; places, weights and active bits by step.
struct SparseRowsPack {
  const SparseSlice* slices;  ///< [slice][tile]
  std::size_t tiles;
  const std::uint32_t* order;
  std::size_t rows;
  const std::uint16_t* at;
  const float* weights;
  const std::uint16_t* halves;  ///< the weights in bf16, in place of `weights` when not null
  const std::uint16_t* active;
};

struct SparseKernels {
  Isa isa;
  int width;
  void (*columns)(const SparsePack&, const ColumnInput&, std::size_t lane_begin, std::size_t lane_end, float* y,
                  std::size_t y_stride, const Epilogue&);
  void (*rows)(const SparseRowsPack&, std::size_t slice_begin, std::size_t slice_end, const float* x,
               std::size_t x_stride, std::size_t lanes, float* y, std::size_t y_stride, const Epilogue&);
};

/// The kernels of a set that the processor must run (runnable_isas()).
const SparseKernels& sparse_kernels(Isa isa) noexcept;

// One per translation unit kernels_<isa>.cpp.
extern const SparseKernels kPortableSparseKernels;
extern const SparseKernels kAvx2SparseKernels;
extern const SparseKernels kAvx512SparseKernels;

}  // namespace sparse_run::cpu
