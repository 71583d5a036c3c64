// The images of a batch that are too few to fill a vector's lanes, run layer by layer.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cpu/kernels/column_region.hpp"
#include "cpu/program.hpp"

namespace sparse_run::cpu {

/// A region compiled for a smaller batch without columns. Immutable; several executions may be in flight.
class ColumnRemainder {
 public:
  ColumnRemainder(const ColumnRegion& region, std::span<const std::unique_ptr<NodeView>> views,
                  const Environment& environment, std::int64_t images);

  /// Computes images [first, first + images) of the step's operands into the same images of its results. `layer_ns`, by
  /// node of the region, is added to when it is not empty.
  void run(const StepArguments& arguments, std::int64_t first, std::span<std::int64_t> layer_ns) const;
  std::size_t weight_bytes() const { return program_->weight_bytes(); }

 private:
  std::int64_t images_;
  int threads_;
  std::unique_ptr<Program> program_;
  std::vector<std::size_t> layer_of_;  ///< by layer of the program: node of the region
};

}  // namespace sparse_run::cpu
