// Cutting a product with sparse weights into tasks.
#pragma once

#include <cstdint>

namespace sparse_run::cpu {

/// One product as the sparse column kernel runs it.
struct SparseWork {
  std::int64_t matrices = 1;  ///< equal products beside each other: images × groups
  std::int64_t rows = 0;
  std::int64_t vectors = 0;        ///< lanes, in vectors
  std::int64_t block_vectors = 4;  ///< most vectors the kernel takes at once
  double entries = 0;              ///< of a row, on average
  double collected = 0;            ///< vectors of the operand collected per vector of lanes
  double tiles = 1;                ///< times that each result is visited
  bool residual = false;
};

struct SparseSplit {
  std::int64_t row_slices = 1;
  std::int64_t lane_slices = 1;  ///< slice i holds vectors [i · vectors / lane_slices, (i + 1) · vectors / lane_slices)
};

/// The cut whose predicted time is least when each thread takes an equal run of tasks, ordered (matrix, lane slice, row
/// slice). Lanes are cut into any number of vectors; every row slice collects its lanes of the operand again.
SparseSplit split_sparse(const SparseWork& work, int threads);

}  // namespace sparse_run::cpu
