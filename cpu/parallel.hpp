// Splitting a step's work over the TBB arena it runs in.
#pragma once

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <cstdint>

namespace sparse_run::cpu {

/// body(begin, end) over [0, count) in pieces of at least `grain`; in the calling thread when one piece suffices.
template <class Body>
void parallel_ranges(std::int64_t count, std::int64_t grain, const Body& body) {
  if (count <= 0) return;
  if (count <= grain || tbb::this_task_arena::max_concurrency() == 1) {
    body(std::int64_t{0}, count);
    return;
  }
  tbb::parallel_for(tbb::blocked_range<std::int64_t>(0, count, grain),
                    [&](const tbb::blocked_range<std::int64_t>& range) { body(range.begin(), range.end()); });
}

/// body(i) for every i in [0, count), each a task of its own.
template <class Body>
void parallel_tasks(std::int64_t count, const Body& body) {
  if (count <= 0) return;
  if (count == 1 || tbb::this_task_arena::max_concurrency() == 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  tbb::parallel_for(
      tbb::blocked_range<std::int64_t>(0, count, 1),
      [&](const tbb::blocked_range<std::int64_t>& range) {
        for (std::int64_t i = range.begin(); i < range.end(); ++i) body(i);
      },
      tbb::simple_partitioner{});
}

}  // namespace sparse_run::cpu
