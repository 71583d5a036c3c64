// Layers of one image shared among threads without joins: each thread runs its rows of all layers, and waits only for
// the rows of others that it reads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cpu/column/chain_rows.hpp"
#include "cpu/column/slab.hpp"

namespace sparse_run::cpu {

/// A tensor [channels][height][width] per image.
struct SlabValue {
  int channels = 0, height = 0, width = 0;
  int input = -1, output = -1;  ///< which tensor of the run it is; -1: none, it lies in the scratch
};

struct SlabNode {
  std::unique_ptr<SlabOp> op;
  std::vector<int> inputs;         ///< values
  std::vector<RowWindow> windows;  ///< parallel to inputs
  int output = 0;                  ///< value
  int layer = 0;                   ///< whose time it is
  bool by_channels = false;        ///< shares are channels of the result, not rows of it
};

/// What one execution is given; tensors are plain NCHW.
struct SlabRun {
  std::span<const float* const> inputs;
  std::span<float* const> outputs;
  int images = 0;
  std::byte* scratch = nullptr;                        ///< 64-byte aligned, scratch_bytes()
  const std::atomic<bool>* cancelled = nullptr;        ///< nothing is computed once it is set
  std::span<std::atomic<std::int64_t>> layer_ns = {};  ///< time per layer is added here when given
};

/// Nodes in topological order, each cut into one part per share. A share's parts run in order, by one thread at a time:
/// mostly the same, so that rows stay in its cache. A part waits, by counters, for those parts of other shares whose
/// rows it reads and whose memory it takes over. Rows that windows reach beyond a share's own are copied from its
/// neighbours. A thread that would wait for a share that nobody runs runs it itself, so one thread suffices.
/// Immutable: several executions may be in flight. Results do not depend on which threads run.
class SlabProgram {
 public:
  SlabProgram(std::vector<SlabValue> values, std::vector<SlabNode> nodes, int shares);

  std::size_t scratch_bytes() const noexcept { return scratch_bytes_; }
  std::size_t weight_bytes() const noexcept;
  const std::vector<SlabNode>& nodes() const noexcept { return nodes_; }
  int shares() const noexcept { return shares_; }
  /// Rows of a node's operands that shares copy from each other, over all shares.
  int rows_copied(int node) const;

  /// In the calling thread and the TBB arena it is in.
  void run(const SlabRun& run) const;

 private:
  /// Rows that a share copies from another before it runs a node.
  struct Copy {
    int value = 0, from = 0;
    RowRange rows;
  };
  struct Part {
    RowRange rows;
    std::vector<Copy> copies;
    std::vector<int> waits_for;  ///< by share: nodes it must have finished
  };
  /// Where a value lies.
  struct Place {
    bool slabs = false;             ///< each share's rows by themselves; else all rows of a channel follow each other
    std::ptrdiff_t stride = 0;      ///< floats from a channel to the next
    std::size_t offset = 0;         ///< bytes from the scratch, of values that lie there
    std::vector<std::size_t> slab;  ///< by share: bytes from `offset`
    std::vector<RowRange> stored;   ///< by share: its own rows and those that it copies
    int first = 0, last = 0;        ///< node that writes it, node that reads it last
  };
  class Execution;

  RowRange own_rows(int value, int share) const;
  /// Rows of operand i that a part reads.
  RowRange rows_read(const SlabNode& node, std::size_t i, int share) const;
  void place_values();
  void plan_copies();
  void plan_waits();

  std::vector<SlabValue> values_;
  std::vector<SlabNode> nodes_;
  int shares_ = 1;
  std::vector<Place> places_;             ///< by value
  std::vector<std::vector<Part>> parts_;  ///< [node][share]
  std::size_t scratch_bytes_ = 0;
};

}  // namespace sparse_run::cpu
