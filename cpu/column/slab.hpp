// Slabs: the rows of one image that one thread keeps in its own cache through many layers, and operations on them.
#pragma once

#include <cstddef>
#include <span>

#include "cpu/column/row_op.hpp"

namespace sparse_run::cpu {

/// Rows of all channels of one image, [channel][row][position]: rows lie a tensor's width apart. A view.
struct SlabRows {
  float* at = nullptr;  ///< channel 0, row first_row, position 0
  int first_row = 0;
  std::ptrdiff_t channel_stride = 0;  ///< floats

  /// Position 0 of channel 0 of a row, which need not be stored.
  float* row(int row, int width) const noexcept { return at + std::ptrdiff_t{row - first_row} * width; }
};

/// One part of an operation: rows [begin, end) of all channels, or, where an operation is cut by channels, all rows of
/// the channels that are share `share`'s.
struct SlabCall {
  std::span<const SlabRows>
      inputs;  ///< in the operation's order; they hold all rows that the windows of the part reach
  SlabRows output;
  int begin = 0, end = 0;
  int share = 0;
};

/// Immutable: any number of threads may run it at once, on parts of their own.
class SlabOp {
 public:
  virtual ~SlabOp() = default;
  /// Neither allocates nor throws.
  virtual void run(const SlabCall& call) const noexcept = 0;
  virtual std::size_t weight_bytes() const noexcept { return 0; }
  virtual double flops() const noexcept { return 0; }  ///< executed, for one image
  virtual bool skips_zeros() const noexcept { return false; }
};

}  // namespace sparse_run::cpu
