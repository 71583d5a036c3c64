// The TBB flow graph of one request: a node per partition, an edge per dependency between partitions.
#pragma once

#include <tbb/flow_graph.h>

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "device/device.hpp"
#include "partitioner/plan.hpp"

namespace sparse_run {

/// One partition ready to run.
struct Stage {
  Partition partition;
  std::unique_ptr<Executable> executable;
};

/// Executes all stages of a compiled graph for one request at a time; several requests in flight use one flow each.
/// The graph is built once and reused: a run resets the values and sends one message to the source.
class RequestFlow {
 public:
  /// `stages` must outlive the flow. Construct and run inside the arena that is to execute it.
  RequestFlow(const Graph& graph, std::span<const Stage> stages, const Plan& plan);

  /// Values parallel to graph.inputs(); the outputs in order. `states` parallel to the stages. The first error of any
  /// stage is rethrown after all running stages have ended; the flow is usable again afterwards.
  std::vector<Value> run(std::span<const Value> inputs, std::span<RunState> states);

 private:
  using StageNode = tbb::flow::continue_node<tbb::flow::continue_msg>;

  void execute(std::size_t stage);

  const Graph& graph_;
  std::span<const Stage> stages_;
  tbb::flow::graph flow_;
  tbb::flow::broadcast_node<tbb::flow::continue_msg> source_;
  std::vector<std::unique_ptr<StageNode>> nodes_;
  std::vector<Value> values_;
  std::span<RunState> states_;
  std::atomic<bool> failed_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
};

}  // namespace sparse_run
