// A compiled partition: steps over slots of memory, enqueued one after the other or replayed as a CUDA graph.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "device/device.hpp"
#include "gpu/cuda/fault_words.hpp"
#include "gpu/cuda/queue.hpp"
#include "gpu/cuda/replay.hpp"
#include "gpu/cuda/steps/step.hpp"
#include "gpu/cuda/weight_stream.hpp"

namespace sparse_run::gpu::cuda {

/// Where a value lies during an execution.
struct Slot {
  enum class Kind { input, output, constant, streamed, workspace };
  Kind kind = Kind::workspace;
  std::size_t index = 0;   ///< of inputs and outputs; the buffer of streamed constants
  std::size_t offset = 0;  ///< in constants, buffer or workspace, bytes
};

/// A step with its operands.
struct PlacedStep {
  std::unique_ptr<Step> step;
  std::vector<int> operands;  ///< slots; -1: omitted or not read
  std::vector<int> results;
  std::string where;  ///< for errors: "node 'conv1' (Conv)"
  LayerReport report;
  int turn = 0;                                   ///< buffer of its streamed weights
  std::vector<WeightStream::Part> streamed = {};  ///< weights that are copied for every execution
};

/// Executions share one workspace, because they follow each other on the compute stream.
class Program final : public Executable {
 public:
  /// Chooses kernels, copies constants to the GPU and reserves the workspace. Error(device) when memory is short.
  static std::unique_ptr<Program> compile(std::shared_ptr<Gpu> gpu, std::shared_ptr<Queue> compute,
                                          std::shared_ptr<FaultWords> faults, const Partition& partition,
                                          const CompileOptions& options);

  EventPtr submit(std::vector<Value> inputs, std::vector<Value> outputs, RunState& state,
                  const std::vector<EventPtr>& after) const override;
  std::vector<LayerReport> layers() const override;
  std::size_t workspace_bytes() const override { return workspace_bytes_; }
  std::size_t weight_bytes() const override { return weight_bytes_; }

 private:
  class Builder;
  struct Execution;
  Program() = default;

  void enqueue(StreamHandle stream, Execution& execution, const RunState& state) const;
  void enqueue_steps(StreamHandle stream, Execution& execution) const;
  void finish(Execution& execution, RunState& state, std::int64_t begin_ns) const;
  DevicePtr address(int slot, const Execution& execution) const;
  std::vector<std::string> remarks() const;

  std::shared_ptr<Gpu> gpu_;        // shared with the device and buffers
  std::shared_ptr<Queue> compute_;  // shared with the device, which may go first
  std::shared_ptr<FaultWords> faults_;
  std::vector<Slot> slots_;
  std::vector<PlacedStep> steps_;
  DeviceArray constants_;
  std::unique_ptr<WeightStream> weight_stream_;  ///< where constants are streamed; used like replay_
  std::shared_ptr<const void> workspace_;
  std::size_t workspace_bytes_ = 0;
  std::size_t weight_bytes_ = 0;
  std::size_t streamed_bytes_ = 0;  ///< per execution
  std::size_t scratch_offset_ = 0;
  std::size_t fault_offset_ = 0;
  bool reports_faults_ = false;
  std::string first_node_;
  std::unique_ptr<Replay> replay_;  ///< used by the thread that holds the compute stream
};

}  // namespace sparse_run::gpu::cuda
