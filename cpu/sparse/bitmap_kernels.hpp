// The kernels for weights with a bit per element as function pointers, one set per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/column/epilogue.hpp"
#include "cpu/isa.hpp"

namespace sparse_run::cpu {

/// Most lanes that one pass over the weights serves.
inline constexpr std::size_t kBitmapLanes = 8;
/// Floats that may be read behind the last weight.
inline constexpr std::size_t kBitmapSlack = 16;
/// Active columns by which the next weights are fetched ahead: which ones come next only the list of them tells.
inline constexpr std::ptrdiff_t kBitmapAhead = 4;

/// The columns that have an activation, chunk after chunk.
struct BitmapInput {
  const std::uint16_t* columns;      ///< within their chunk, ascending
  const std::uint32_t* chunk_begin;  ///< positions in `columns`, one more than chunks
  const float* values;               ///< [active column][lane]
};

/// A view of what SparseBitmap owns. A block is as many consecutive rows as have their sums in registers; a chunk as
/// many columns as 16 bits reach entries of in a block.
struct BitmapPack {
  std::size_t rows, columns, lanes;
  std::size_t chunk_columns, chunks;
  const std::uint8_t* bits;     ///< [block][column][vector of rows]: BitmapKernels::vector_bytes each
  const std::uint16_t* offset;  ///< [block][column]: entries of the block and chunk before the column
  const std::size_t* first;     ///< [block][chunk]: entries before it
  const float* weights;         ///< by block, then column, then row; kBitmapSlack more than there are
  std::size_t lines_ahead;      ///< cache lines fetched ahead for one column
};

struct BitmapKernels {
  Isa isa;
  int width;
  std::size_t vector_bytes;           ///< that the bits of a vector of rows take
  int (*vectors)(std::size_t lanes);  ///< of rows in a block, for 1 … kBitmapLanes lanes
  /// Results of blocks [block_begin, block_end): lane l at y + l · y_stride + row.
  void (*run)(const BitmapPack&, const BitmapInput&, std::size_t block_begin, std::size_t block_end, float* y,
              std::size_t y_stride, const Epilogue&);
};

/// The kernels of a set that the processor must run (runnable_isas()).
const BitmapKernels& bitmap_kernels(Isa isa) noexcept;

// One per translation unit bitmap_kernels_<isa>.cpp.
extern const BitmapKernels kPortableBitmapKernels;
extern const BitmapKernels kAvx2BitmapKernels;
extern const BitmapKernels kAvx512BitmapKernels;

}  // namespace sparse_run::cpu
