// Convolutions over strips: weights packed so that a strip is read in place, and the loop over its positions.
#pragma once

#include <span>
#include <vector>

#include "cpu/column/aligned.hpp"
#include "cpu/column/column.hpp"
#include "cpu/column/row_op.hpp"
#include "cpu/sparse/csr.hpp"

namespace sparse_run::cpu {

/// What a convolution is but for its weights. Of `window` the kernel, strides, dilations, paddings and output width
/// are used.
struct StripConvolutionSpec {
  Window window;
  int groups = 1;
  int in_channels = 0, out_channels = 0;  ///< per group
  std::vector<float> bias;                ///< one per output channel, or empty
  bool residual = false;                  ///< the second operand is added before the activation
  Activation activation;
};

/// Sparse weights.
class SparseStripConvolution final : public RowOp {
 public:
  /// `weights` has one matrix per group: rows are output channels, columns (channel, kernel row, kernel column).
  /// `input` is how the operand is stored; it holds the paddings the window reaches. Throws Error(internal) when
  /// !fits().
  SparseStripConvolution(StripConvolutionSpec spec, std::span<const Csr> weights, const StripShape& input, Isa isa);
  /// Whether places in the operand can be told apart by the packed format.
  static bool fits(const Window& window, const StripShape& input) noexcept;

  void run(const RowCall& call) const noexcept override;
  std::size_t weight_bytes() const noexcept override;
  double flops_per_row() const noexcept override;
  bool takes_columns() const noexcept override { return true; }
  bool skips_zeros() const noexcept override { return true; }

 private:
  struct Tile {
    int channel_begin, channels;
    std::uint32_t pairs;
    std::size_t first_step, first_channel, first_run, runs;
  };
  struct Group {
    std::vector<Tile> tiles;
    AlignedVector<StripStep> steps;
    AlignedVector<std::uint32_t> channels;
    std::vector<StripRun> runs;
  };
  /// Input channels of a tile of `vectors` positions, as even as possible.
  int channel_tile(int vectors, const StripShape& input) const noexcept;
  /// Positions computed side by side for which the least is loaded and stored per multiplication.
  int best_vectors(const StripShape& input, double entries_per_k) const noexcept;
  StripAhead ahead(const StripShape& input, const float* at, int channels, int vectors) const noexcept;
  void add_tile(Group& group, const Csr& weights, const StripShape& input, int begin, int end, bool every_channel,
                std::vector<std::size_t>& next) const;

  StripConvolutionSpec spec_;
  const StripKernels* kernels_;
  int vectors_ = 1;
  int channel_tile_ = 1;
  std::size_t nnz_ = 0;
  std::vector<Group> groups_;
};

/// Dense weights.
class DenseStripConvolution final : public RowOp {
 public:
  /// `weights`: [group][output channel][channel][kernel row][kernel column].
  DenseStripConvolution(StripConvolutionSpec spec, std::span<const float> weights, const StripShape& input, Isa isa);

  void run(const RowCall& call) const noexcept override;
  std::size_t weight_bytes() const noexcept override { return weights_.size() * sizeof(float); }
  double flops_per_row() const noexcept override;
  bool takes_columns() const noexcept override { return true; }

 private:
  StripConvolutionSpec spec_;
  const StripKernels* kernels_;
  int vectors_ = 1;
  std::size_t k_ = 0, k_tile_ = 1;
  std::size_t group_floats_ = 0;
  AlignedVector<float> weights_;   ///< [group][k tile][block of channels][k][channel]
  std::vector<std::uint32_t> at_;  ///< [k], in floats from the group's first channel
};

/// One output channel per input channel.
class DepthwiseStripConvolution final : public RowOp {
 public:
  DepthwiseStripConvolution(StripConvolutionSpec spec, std::span<const float> weights, Isa isa);
  /// Whether the kernel has few enough rows.
  static bool fits(const Window& window) noexcept { return window.kernel_height <= kMostRows; }

  void run(const RowCall& call) const noexcept override;
  std::size_t weight_bytes() const noexcept override { return weights_.size() * sizeof(float); }
  double flops_per_row() const noexcept override;
  bool takes_columns() const noexcept override { return true; }

 private:
  static constexpr int kMostRows = 16;

  StripConvolutionSpec spec_;
  const StripKernels* kernels_;
  AlignedVector<float> weights_;
};

}  // namespace sparse_run::cpu
