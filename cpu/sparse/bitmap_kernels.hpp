// The kernels for weights with a bit per element as function pointers, one set per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/column/epilogue.hpp"
#include "cpu/isa.hpp"

namespace sparse_run::cpu {

/// Most lanes that one pass over the weights serves.
inline constexpr std::size_t kBitmapLanes = 8;
/// Rows of a block: as many as have their sums in registers.
constexpr std::size_t bitmap_block_rows(std::size_t lanes) noexcept { return lanes <= 4 ? 64 : 32; }
/// Columns whose entries in a block a 16-bit offset reaches, whatever the block's rows.
inline constexpr std::size_t kBitmapChunk = 1023;
/// Floats that may be read behind the last weight.
inline constexpr std::size_t kBitmapSlack = 16;
/// Active columns by which the next weights are fetched ahead: which ones come next only the list of them tells.
inline constexpr std::ptrdiff_t kBitmapAhead = 8;

/// The columns that have an activation, chunk after chunk.
struct BitmapInput {
  const std::uint16_t* columns;      ///< within their chunk, ascending
  const std::uint32_t* chunk_begin;  ///< positions in `columns`, one more than chunks
  const float* values;               ///< [active column][lane]
};

/// A view of what SparseBitmap owns. A block is bitmap_block_rows(lanes) consecutive rows.
struct BitmapPack {
  std::size_t rows, columns, chunks, lanes;
  const std::uint8_t* bits;     ///< [block][column][rows of a block / 8]
  const std::uint16_t* offset;  ///< [block][column]: entries of the block and chunk before the column
  const std::size_t* first;     ///< [block][chunk]: entries before it
  const float* weights;         ///< by block, then column, then row; kBitmapSlack more than there are
  std::size_t lines_ahead;      ///< cache lines fetched ahead for one column
};

struct BitmapKernels {
  Isa isa;
  int width;
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
