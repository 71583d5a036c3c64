// Choosing the cut by predicted makespan.
#include "cpu/kernels/blocked_split.hpp"

#include <cmath>
#include <limits>

namespace sparse_run::cpu {

namespace {

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

BlockedSplit split_blocked(const BlockedWork& work, int threads) {
  constexpr double kFlopsPerCycle = 56, kBytesPerCycle = 12, kTaskCycles = 2000;
  BlockedSplit best;
  double best_time = std::numeric_limits<double>::infinity();
  const std::int64_t groups = divide_up(work.blocks, work.block_step);
  const std::int64_t steps = divide_up(work.positions, work.position_step);
  const std::int64_t most = std::max<std::int64_t>(64, 4 * threads);  // tasks of an image
  for (std::int64_t p = 1; p <= std::min(steps, most); ++p) {
    for (std::int64_t b = 1; b <= std::min<std::int64_t>(groups, threads == 1 ? 1 : 4 * threads) && p * b <= most;
         ++b) {
      BlockedSplit split;
      split.images = work.images;
      split.positions = work.positions;
      split.position_slice = divide_up(steps, p) * work.position_step;
      split.position_slices = divide_up(work.positions, split.position_slice);
      split.blocks = work.blocks;
      split.block_slice = divide_up(groups, b) * work.block_step;
      split.block_slices = divide_up(work.blocks, split.block_slice);
      const double share_positions =
          std::min(1.0, static_cast<double>(split.position_slice) / static_cast<double>(work.positions));
      const double share_blocks =
          std::min(1.0, static_cast<double>(split.block_slice) / static_cast<double>(work.blocks));
      const double input = work.input_bytes * share_positions;
      const double weights = work.weight_bytes * share_blocks;
      const double passes =
          input > work.private_cache / 2 ? static_cast<double>(divide_up(split.block_slice, work.block_step)) : 1;
      const auto rounds = static_cast<double>(divide_up(split.tasks(), threads));
      // a weight slice that stays in the private cache is read once for all tasks of a thread that share it
      const double sharing = std::max(1.0, static_cast<double>(work.images * split.position_slices) / threads);
      const double weight_reads = weights > work.private_cache / 2 ? rounds : std::ceil(rounds / sharing);
      const double time = rounds * (work.flops * share_positions * share_blocks / kFlopsPerCycle + kTaskCycles +
                                    input * passes / kBytesPerCycle) +
                          weight_reads * weights / kBytesPerCycle;
      if (time < best_time) {
        best_time = time;
        best = split;
      }
    }
  }
  return best;
}

}  // namespace sparse_run::cpu
