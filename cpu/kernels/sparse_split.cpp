// Chooses the cut of a sparse product by predicted makespan, in units of one load from the innermost cache.
#include "cpu/kernels/sparse_split.hpp"

#include <algorithm>
#include <limits>
#include <vector>

namespace sparse_run::cpu {

namespace {

// Per entry of a row the kernel loads a weight and half a place besides the activations; starting and storing a row
// costs about as much as three entries. Measured on an AVX-512 server core.
constexpr double kLoadsBesidesVectors = 1.5;
constexpr double kEntriesPerRow = 3;
constexpr double kLoadsPerCollected = 2;
constexpr double kLoadsPerTask = 4000;
// Where two slices of lanes meet, the hardware's prefetching of one thread takes lines of a row that the other thread
// is about to write: measured as 40 to 60 cycles at each visit of a row.
constexpr double kLoadsPerMeeting = 80;
// Lanes that another thread wrote in the layer before have to come from its cache, and results from there be taken
// back.
constexpr double kLoadsPerForeignVector = 15;

double slice_cost(const SparseWork& work, double rows, std::int64_t vectors) {
  const std::int64_t blocks = (vectors + work.block_vectors - 1) / work.block_vectors;
  const double entries = rows * (work.entries + kEntriesPerRow);
  return entries * (static_cast<double>(vectors) + kLoadsBesidesVectors * static_cast<double>(blocks)) +
         kLoadsPerCollected * work.collected * static_cast<double>(vectors) + kLoadsPerTask;
}

/// The longest run of tasks of one thread.
double makespan(const SparseWork& work, const SparseSplit& split, int threads) {
  const double rows = static_cast<double>(work.rows) / static_cast<double>(split.row_slices);
  std::vector<double> task;                                                // of one matrix
  const double touched = work.collected + rows * (work.residual ? 2 : 1);  // vectors per vector of lanes
  const double foreign =
      kLoadsPerForeignVector * touched *
      (1 - static_cast<double>(std::min<std::int64_t>(split.lane_slices * work.matrices, threads)) / threads);
  const double meetings = kLoadsPerMeeting * rows * work.tiles;
  for (std::int64_t i = 0; i < split.lane_slices; ++i) {
    const std::int64_t vectors = (i + 1) * work.vectors / split.lane_slices - i * work.vectors / split.lane_slices;
    const int sides = (i > 0 ? 1 : 0) + (i + 1 < split.lane_slices ? 1 : 0);
    task.insert(task.end(), static_cast<std::size_t>(split.row_slices),
                slice_cost(work, rows, vectors) + meetings * sides + foreign * static_cast<double>(vectors));
  }
  double whole = 0;
  for (const double cost : task) whole += cost;
  const auto per_matrix = static_cast<std::int64_t>(task.size());
  const std::int64_t tasks = work.matrices * per_matrix;
  double longest = 0;
  for (int thread = 0; thread < threads; ++thread) {
    const std::int64_t begin = thread * tasks / threads, end = (thread + 1) * tasks / threads;
    double own = static_cast<double>(end / per_matrix - begin / per_matrix) * whole;
    for (std::int64_t i = 0; i < end % per_matrix; ++i) own += task[static_cast<std::size_t>(i)];
    for (std::int64_t i = 0; i < begin % per_matrix; ++i) own -= task[static_cast<std::size_t>(i)];
    longest = std::max(longest, own);
  }
  return longest;
}

}  // namespace

SparseSplit split_sparse(const SparseWork& work, int threads) {
  SparseSplit best;
  if (threads <= 1) return best;
  double best_time = std::numeric_limits<double>::infinity();
  const std::int64_t most = 4 * threads;
  for (std::int64_t lanes = 1; lanes <= std::min(most, work.vectors); ++lanes) {
    for (std::int64_t rows = 1; rows * lanes <= most && rows <= std::max<std::int64_t>(1, work.rows / 8); ++rows) {
      const SparseSplit split{rows, lanes};
      const double time = makespan(work, split, threads);
      if (time < best_time) {
        best_time = time;
        best = split;
      }
    }
  }
  return best;
}

}  // namespace sparse_run::cpu
