// The operations of chains besides convolutions: into and out of strips, elementwise, pooling, concatenation.
#pragma once

#include <cstddef>

#include "cpu/column/column.hpp"
#include "cpu/column/kernels.hpp"
#include "cpu/column/row_op.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

/// Rows of a plain NCHW tensor become rows of a strip; lanes without an image get 0.
class PackRows final : public RowOp {
 public:
  PackRows(std::size_t input, Isa isa) : input_(input), kernels_(&column_kernels(isa)) {}
  void run(const RowCall& call) const noexcept override;

 private:
  std::size_t input_;  ///< of ChainIo::inputs
  const ColumnKernels* kernels_;
};

/// Rows of a strip become rows of a plain NCHW tensor; call.output is not used.
class UnpackRows final : public RowOp {
 public:
  UnpackRows(std::size_t output, Isa isa) : output_(output), kernels_(&column_kernels(isa)) {}
  void run(const RowCall& call) const noexcept override;

 private:
  std::size_t output_;
  const ColumnKernels* kernels_;
};

/// Averages whole planes into an NCHW tensor of 1 × 1 planes; call.output is not used, the result has one row.
class GlobalAverageRows final : public RowOp {
 public:
  GlobalAverageRows(std::size_t output, Isa isa) : output_(output), rows_(&row_kernels(isa)) {}
  void run(const RowCall& call) const noexcept override;

 private:
  std::size_t output_;
  const RowKernels* rows_;
};

/// A maximum or average over windows. Positions outside the operand do not take part.
class PoolRows final : public RowOp {
 public:
  /// Of `window` the kernel, strides, dilations, paddings and output width are used. `count_padding`: averages divide
  /// by the kernel's area.
  PoolRows(const Window& window, bool average, bool count_padding, Isa isa)
      : window_(window), average_(average), count_padding_(count_padding), kernels_(&strip_kernels(isa)) {}
  static bool fits(const Window& window) noexcept { return window.kernel_height <= kMostRows; }
  void run(const RowCall& call) const noexcept override;

 private:
  static constexpr int kMostRows = 64;

  Window window_;
  bool average_, count_padding_;
  const StripKernels* kernels_;
};

class MapRows final : public RowOp {
 public:
  MapRows(const Activation& activation, Isa isa) : activation_(activation), kernels_(&row_kernels(isa)) {}
  void run(const RowCall& call) const noexcept override;

 private:
  Activation activation_;
  const RowKernels* kernels_;
};

/// Two operands of the result's shape.
class BinaryRows final : public RowOp {
 public:
  BinaryRows(Binary op, Isa isa) : op_(op), kernels_(&row_kernels(isa)) {}
  void run(const RowCall& call) const noexcept override;

 private:
  Binary op_;
  const RowKernels* kernels_;
};

/// Channels of all operands, one after the other.
class ConcatRows final : public RowOp {
 public:
  void run(const RowCall& call) const noexcept override;
};

}  // namespace sparse_run::cpu
