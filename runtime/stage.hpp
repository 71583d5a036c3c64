// What one request does, as steps that a flow graph orders: partitions computed, and values copied between memories.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/device.hpp"
#include "partitioner/plan.hpp"

namespace sparse_run {

/// The memory a value lies in: kHost, or the index of a device of the session that has memory of its own.
using Location = int;
inline constexpr Location kHost = -1;

/// A partition on its device, or a copy between the host and a device. Values that cross between two devices take one
/// copy out and one copy in.
struct Stage {
  enum class Kind { compute, copy_in, copy_out };

  Kind kind = Kind::compute;
  int partition = -1;                      ///< compute: index in the plan
  Location location = kHost;               ///< compute: where operands and results lie; copies: the device's end
  Partition work;                          ///< compute
  std::vector<ValueId> values;             ///< copies: what travels together
  std::vector<std::size_t> after;          ///< stages that have to be complete, each once
  std::size_t bytes = 0;                   ///< copies
  std::unique_ptr<Executable> executable;  ///< compute: set once compiled

  /// "partition 3", "copy of 2 values to emulated:0", for traces and errors.
  std::string describe(const std::string& device) const;
};

/// All stages of a graph under a plan, in topological order. Immutable once its executables are set.
struct StageGraph {
  std::vector<Stage> stages;
  std::vector<std::shared_ptr<Device>> devices;  ///< of the session: what Location indexes. Shared: requests use them
  std::vector<std::size_t> request_bytes;        ///< by device: its memory that one request takes for values
  bool asynchronous = false;                     ///< some stage runs on a device with memory of its own
};

/// Values of up to this many bytes travel together when they come from the same stage to the same memory; larger
/// ones travel alone, so that the first to arrive can be used.
inline constexpr std::size_t kCoalescedBytes = 64 * 1024;

/// Lays out a valid plan: one compute stage per partition, in the plan's order, and the copies its edges need. A value
/// is copied once to each memory that reads it. Error(usage) when the plan names a device that is not in `devices`, or
/// gives a device a node that it refuses.
StageGraph lay_out_stages(const std::shared_ptr<const Graph>& graph, const Plan& plan,
                          std::span<const std::shared_ptr<Device>> devices);

}  // namespace sparse_run
