// Numerics across cuts: what a partition hands over, computed by both devices that the cut lies between.
#pragma once

#include <tbb/task_arena.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/stage.hpp"

namespace sparse_run {

/// A value that crosses from one device to another.
struct Cut {
  std::string value;
  int from = 0;  ///< partition
  int to = 0;
  std::string from_device;
  std::string to_device;
  std::size_t bytes = 0;
  std::string skipped;  ///< why the other device could not compute the partition; empty when it did
};

/// Called for each cut with the value as the planned device computed it and as the reading device does from the same
/// operands, both on the host; `other` is absent when it was skipped.
using CutVisitor = std::function<void(const Cut& cut, const Value& planned, const Value& other)>;

/// What a check needs besides values.
struct CutContext {
  const Plan& plan;
  const StageGraph& stages;
  tbb::task_arena& arena;
  int threads = 1;
};

/// Runs all partitions one after the other, as planned, and each partition with cuts behind it also on the devices
/// that read from it. Values parallel to the graph's inputs; its outputs in order. `states` by partition. Call it
/// outside the arena. Takes the memory of one partition at a time on the devices it compares with.
std::vector<Value> check_cuts(const Graph& graph, const CutContext& context, std::span<const Value> inputs,
                              std::span<RunState> states, const CutVisitor& visit);

}  // namespace sparse_run
