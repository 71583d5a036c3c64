// The dense products that follow an aggregate, over one block of rows at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/column/epilogue.hpp"
#include "cpu/dense/onednn_matmul.hpp"
#include "graph/ops/aggregate_chain.hpp"

namespace sparse_run::cpu {

/// Stages ready to run over blocks of a fixed number of rows and over the shorter block at the end. Immutable; may run
/// on different blocks in several threads.
class RowChain {
 public:
  /// `shapes` of all operands. All activations must have a kernel (runs_activations), and there must be rows.
  RowChain(const AggregateChain& chain, const std::vector<Shape>& shapes, std::int64_t block_rows);

  static bool runs_activations(const AggregateChain& chain);

  std::int64_t block_rows() const noexcept { return block_; }
  /// Floats of the widest block there is before the last stage, in each of two buffers.
  std::size_t buffer_floats() const noexcept { return static_cast<std::size_t>(block_ * widest_); }
  double flops_per_row() const noexcept { return flops_; }
  /// Result rows [first, first + rows) into y, where row 0 of the result is; `buffers` holds the aggregated rows first.
  /// `operands` by number, from their row 0 on.
  void run(const float* const* operands, std::int64_t first, std::int64_t rows, float* buffers, float* y) const;

 private:
  struct Stage {
    RowStage stage;
    Activation activation;
    std::int64_t k = 0, n = 0;
    std::unique_ptr<OnednnMatmul> whole, last;  ///< for whole blocks and for the shorter one
  };

  std::vector<Stage> stages_;
  std::int64_t nodes_, block_;
  std::int64_t widest_ = 0;
  double flops_ = 0;
};

}  // namespace sparse_run::cpu
