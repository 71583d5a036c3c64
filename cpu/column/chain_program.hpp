// A chain cut into segments and strips, laid out in memory, and its execution as TBB tasks.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/column/chain_plan.hpp"

namespace sparse_run::cpu {

/// What one execution is given.
struct ChainRun {
  std::span<const float* const> inputs;
  std::span<float* const> outputs;
  int images = 0;                                            ///< of the batch
  std::byte* scratch = nullptr;                              ///< 64-byte aligned, scratch_bytes()
  const std::atomic<bool>* cancelled = nullptr;              ///< tasks do nothing once it is set
  std::span<std::atomic<std::int64_t>> layer_ns = {};        ///< time per layer is added here when given
  std::span<std::atomic<std::int64_t>> node_positions = {};  ///< what each node computed is added here when given
};

/// Tasks are bands of strips of segments; a task starts when the strips it reads are done, whatever others of its
/// segment wait for. What segments hand over lies in memory that is reused once all readers are done. Images are run a
/// group after the other, a group being as many as a vector has lanes. Immutable: several executions may be in flight.
/// Results do not depend on the number of threads.
class ChainProgram {
 public:
  ChainProgram(Chain chain, std::vector<Segment> segments, int threads);

  const Chain& chain() const noexcept { return chain_; }
  const std::vector<Segment>& segments() const noexcept { return segments_; }
  std::size_t scratch_bytes() const noexcept { return stop_bytes_ + static_cast<std::size_t>(threads_) * strip_bytes_; }
  std::size_t weight_bytes() const noexcept;
  /// positions_computed() of each node, in one group of images, from the plan alone.
  const std::vector<std::int64_t>& planned_positions() const noexcept { return planned_positions_; }
  int lanes() const noexcept { return lanes_; }

  /// In the calling thread and the TBB arena it is in.
  void run(const ChainRun& run) const;

 private:
  struct Strip {
    StripWalk walk;
    std::vector<std::size_t> buffers;  ///< of each node's result, bytes from the strip's scratch; unused for the last
  };
  struct Task {
    int segment = 0;
    int strip = -1;  ///< -1: a gate, passed when the segment is done
    int band = 0;
    int waits_for = 0;
    std::vector<int> successors;
  };
  class Execution;

  void place_stops();
  void make_tasks();
  void link(int before, int after);

  Chain chain_;
  std::vector<Segment> segments_;
  std::vector<int> segment_of_;                            ///< by node
  std::vector<std::vector<Strip>> strips_;                 ///< [segment][strip]
  std::vector<std::vector<std::vector<RowRange>>> bands_;  ///< [segment][band][node]
  std::vector<std::size_t> stop_at_;  ///< by value: bytes from the scratch; kNowhere for values within segments
  std::vector<Task> tasks_;
  std::vector<int> gate_of_;            ///< by segment: its gate's task
  std::vector<int> waits_for_segment_;  ///< by segment: all up to this one must be done before; -1: none
  std::vector<std::int64_t> planned_positions_;
  std::size_t stop_bytes_ = 0;
  std::size_t strip_bytes_ = 0;
  int threads_ = 1;
  int lanes_ = 1;
};

}  // namespace sparse_run::cpu
