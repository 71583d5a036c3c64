// Choosing the cut by predicted makespan.
#include "cpu/kernels/split.hpp"

#include <algorithm>
#include <limits>

namespace sparse_run::cpu {

namespace {

std::int64_t round_up(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }

/// Vectors a slice of lanes costs: narrow remainders keep fewer sums in flight and reuse each weight less.
double vectors_of(std::int64_t lanes, const SplitCost& cost) {
  const std::int64_t rest = lanes % cost.tile_lanes;
  const double whole = static_cast<double>(lanes / cost.tile_lanes) * static_cast<double>(cost.tile_lanes / cost.vector_lanes);
  if (rest == 0) return whole;
  return whole + static_cast<double>((rest + cost.vector_lanes - 1) / cost.vector_lanes) + 0.4;
}

}  // namespace

Split split_product(std::int64_t matrices, std::int64_t rows, std::int64_t lanes, int threads, const SplitCost& cost) {
  Split best;
  double best_time = std::numeric_limits<double>::infinity();
  const std::int64_t most = threads == 1 ? 1 : 4 * threads;
  for (std::int64_t lane_slices = 1; lane_slices <= most; ++lane_slices) {
    // whole tiles where a slice has several, whole vectors otherwise
    std::int64_t lane_slice = (lanes + lane_slices - 1) / lane_slices;
    lane_slice = round_up(lane_slice, lane_slice >= 2 * cost.tile_lanes ? cost.tile_lanes : cost.vector_lanes);
    for (std::int64_t row_slices = 1; row_slices * lane_slices <= most; ++row_slices) {
      const std::int64_t row_slice = round_up((rows + row_slices - 1) / row_slices, cost.row_step);
      Split split{row_slice, lane_slice, (rows + row_slice - 1) / row_slice, (lanes + lane_slice - 1) / lane_slice};
      const double task = (static_cast<double>(std::min(row_slice, rows)) + cost.collect_rows) *
                          vectors_of(std::min(lane_slice, lanes), cost);
      const std::int64_t last_lanes = lanes - (split.lane_slices - 1) * lane_slice;
      const std::int64_t last_rows = rows - (split.row_slices - 1) * row_slice;
      const double row_work = static_cast<double>(rows) + cost.collect_rows * static_cast<double>(split.row_slices);
      const double lane_work = static_cast<double>(split.lane_slices - 1) * vectors_of(std::min(lane_slice, lanes), cost) +
                               vectors_of(last_lanes, cost);
      const double work = static_cast<double>(matrices) * row_work * lane_work;
      const auto tasks = static_cast<double>(matrices * split.row_slices * split.lane_slices);
      // the threads share the work evenly but for the last task, of which half is idle time on average; short last
      // slices start last and level that
      const bool levelled = last_lanes < lane_slice || last_rows < row_slice;
      double time = work / threads;
      if (threads > 1) {
        const double rest = static_cast<double>(static_cast<std::int64_t>(tasks) % threads);
        time = std::max(time, task);
        if (rest != 0) time += task * (1.0 - rest / threads) * (levelled ? 0.5 : 1.0);
      }
      time += 0.002 * work * tasks / 64;  // handing out tasks is not free
      if (time < best_time) {
        best_time = time;
        best = split;
      }
    }
  }
  return best;
}

}  // namespace sparse_run::cpu
