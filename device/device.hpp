// The contract every device fulfils: it compiles partitions of a graph and executes them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "device/memory.hpp"
#include "device/profile.hpp"
#include "graph/ir/graph.hpp"

namespace sparse_run {

/// A view of part of a graph: its nodes in topological order, the values it reads from outside (constants excluded:
/// a device takes those from the graph) and the values that others read from it. The graph's types are what
/// resolve() found: concrete except behind data-dependent operators.
struct Partition {
  std::shared_ptr<const Graph> graph;  // shared: executables outlive the planning that made them
  std::vector<NodeId> nodes;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
};

/// Runs bodies of If, Loop and Scan for a device; the runtime fulfils it (it plans and compiles them too).
class BodyRunner {
 public:
  virtual ~BodyRunner() = default;
  /// `inputs` parallel to body->inputs(), `captures` parallel to body->captures(). The outputs in order. Thread-safe.
  virtual std::vector<Value> run_body(const GraphPtr& body, std::span<const Value> inputs,
                                      std::span<const Value> captures) = 0;
};

/// What one execution is given besides its values. Lives until the execution is complete.
struct RunState {
  BodyRunner* bodies = nullptr;
  const std::atomic<bool>* cancelled = nullptr;  ///< checked between steps
  LayerTimes* times = nullptr;                   ///< filled when given
  std::mt19937_64* random = nullptr;             ///< for random operators

  /// Error(interrupted) once `cancelled` is set.
  void check_cancelled() const {
    if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
      throw Error(ErrorKind::interrupted, "the run was cancelled");
    }
  }
};

/// A compiled partition. Immutable; several executions may be in flight, each with working memory of its own.
/// A device that computes in host memory fulfils run(), one with memory of its own submit().
class Executable {
 public:
  virtual ~Executable() = default;
  /// For devices that compute in host memory. `inputs` parallel to partition.inputs. `outputs` parallel to
  /// partition.outputs: a tensor already there, of the resolved type and shape, is written in place; an absent one is
  /// set by the device. Runs to completion in the calling thread and the TBB arena it is in. Throws Error.
  virtual void run(std::span<const Value> inputs, std::span<Value> outputs, RunState& state) const;
  /// The same with inputs that the caller is done with: their memory may be freed as soon as nothing reads it any more,
  /// long before the execution ends. By default it is freed afterwards.
  virtual void run_consuming(std::vector<Value> inputs, std::span<Value> outputs, RunState& state) const {
    run(inputs, outputs, state);
  }
  /// For devices with memory of their own. `inputs` and `outputs` as above, all present and in the device's memory;
  /// the queue keeps them alive. Enqueues the work on the compute stream behind `after` and returns; `state` lives
  /// until the event is reached. A failure, of the work or of what it waited for, is the event's; Error(device) is
  /// thrown when nothing could be enqueued.
  virtual EventPtr submit(std::vector<Value> inputs, std::vector<Value> outputs, RunState& state,
                          const std::vector<EventPtr>& after) const;
  /// What runs where: one entry per step, in execution order.
  virtual std::vector<LayerReport> layers() const = 0;
  virtual std::size_t workspace_bytes() const = 0;  ///< working memory of one execution
  virtual std::size_t weight_bytes() const = 0;     ///< packed weights, shared by all executions
};

struct CompileOptions {
  int threads = 1;  ///< of the arena that will run it
  /// Nodes whose kernel is decided: a name as LayerReport::kernel gives it ("cpu.conv.column.f32", with or without
  /// its "@variant"). Error(usage) when the device has no such kernel for the node, or it refuses.
  std::unordered_map<NodeId, std::string> kernels = {};
};

/// A device. Thread-safe.
class Device {
 public:
  virtual ~Device() = default;
  virtual std::string name() const = 0;         ///< "cpu", "gpu:0"
  virtual std::string description() const = 0;  ///< one line for --list-devices
  virtual std::size_t memory_bytes() const = 0;
  /// The device's own memory and copy streams; nullptr when it computes in host memory. Lives as long as the device.
  virtual DeviceMemory* memory() { return nullptr; }
  /// Why this device cannot run a node of a resolved graph, in words a user understands; empty when it can.
  virtual std::string refusal(const Graph& graph, const Node& node) const;
  /// Error(device) when the device's own memory cannot take the weights.
  virtual std::unique_ptr<Executable> compile(const Partition& partition, const CompileOptions& options) = 0;
};

}  // namespace sparse_run
