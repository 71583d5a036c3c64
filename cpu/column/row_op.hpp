// One operation of a chain: it computes any rows of its result from the rows of its operands that those need.
#pragma once

#include <span>

#include "cpu/column/strip.hpp"

namespace sparse_run::cpu {

/// Which rows of an operand a result row needs: row r reads first(r), first(r) + dilation, … last(r). Rows outside the
/// operand's height are padding.
struct RowWindow {
  int kernel = 1, stride = 1, dilation = 1, pad = 0;

  int first(int row) const noexcept { return row * stride - pad; }
  int last(int row) const noexcept { return first(row) + (kernel - 1) * dilation; }
};

/// Tensors outside the chain, in plain NCHW, and which of their images a run computes.
struct ChainIo {
  std::span<const float* const> inputs;
  std::span<float* const> outputs;
  int first_image = 0;
  int images = 0;  ///< of the group: at most as many as a vector has lanes
};

/// Rows [begin, end) of a result, of these the positions [column_begin, column_end). Operands hold all rows and
/// positions their windows reach, padding included.
struct RowCall {
  std::span<const StripRows> inputs;
  StripRows output;
  int begin = 0, end = 0;
  int column_begin = 0, column_end = 0;
  const ChainIo& io;
};

/// Immutable: any number of threads may run it at once, on rows of their own.
class RowOp {
 public:
  virtual ~RowOp() = default;
  /// Neither allocates nor throws. Leaves the padding of the result alone.
  virtual void run(const RowCall& call) const noexcept = 0;
  virtual std::size_t weight_bytes() const noexcept { return 0; }
  virtual double flops_per_row() const noexcept { return 0; }  ///< executed, for one group of images
  virtual bool skips_zeros() const noexcept { return false; }
  /// Whether it computes any positions of a row; false: only all of them.
  virtual bool takes_columns() const noexcept { return false; }
};

}  // namespace sparse_run::cpu
