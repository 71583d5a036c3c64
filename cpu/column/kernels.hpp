// The column kernels of one instruction set as function pointers, looked up once when weights are compiled.
#pragma once

#include "cpu/column/column.hpp"
#include "cpu/column/depthwise.hpp"
#include "cpu/column/epilogue.hpp"
#include "cpu/isa.hpp"

namespace sparse_run::cpu {

/// Lane tiles of the dense kernel that share a collected panel.
inline constexpr int kDenseGroupTiles = 2;
/// Rows whose sums are finished before the next rows are begun.
inline constexpr std::size_t kDenseChunkRows = 512;
/// Room for that panel, on the kernel's stack.
inline constexpr std::size_t kDensePanelFloats = 9216;

/// Dense weights as the kernel reads them: K tiles, in each the row blocks of `row_step` rows (the last one what is
/// left), in each [k][row]. A view of what DenseColumns owns.
struct DensePack {
  const float* weights = nullptr;
  std::size_t rows = 0, k = 0;
  std::size_t k_tile = 1;
  bool collect = false;  ///< copy plain rows into a panel before use
};

/// At most 8 vectors times the rows [row_begin, row_end) of row-major weights; see DenseFewLanes::run.
struct FewLanesCall {
  const float* weights;
  std::size_t k;
  const float* x;
  std::size_t x_stride;
  std::size_t lanes;
  float* y;
  std::size_t y_stride;
  std::size_t row_begin, row_end;
  const Epilogue& epilogue;
};

struct ColumnKernels {
  Isa isa;
  int width;        ///< lanes of a vector
  int dense_rows;   ///< row_step of DensePack
  int dense_lanes;  ///< lanes of a whole tile
  void (*dense)(const DensePack&, const ColumnInput&, const ColumnPart&, float* y, std::size_t y_stride,
                const Epilogue&);
  void (*dense_few_lanes)(const FewLanesCall&);
  void (*depthwise)(const DepthwiseCall&);
  void (*transpose)(const float* in, std::size_t in_stride, std::size_t rows, std::size_t columns, float* out,
                    std::size_t out_stride);
  void (*activate)(const Activation&, float* y, std::size_t y_stride, int rows, int lanes);
};

/// The kernels of a set that the processor must run (runnable_isas()).
const ColumnKernels& column_kernels(Isa isa) noexcept;

// One per translation unit kernels_<isa>.cpp.
extern const ColumnKernels kPortableColumnKernels;
extern const ColumnKernels kAvx2ColumnKernels;
extern const ColumnKernels kAvx512ColumnKernels;

}  // namespace sparse_run::cpu
