// The TBB flow graph of one request: nodes for partitions and copies, an edge per dependency between them.
#pragma once

#include <tbb/flow_graph.h>

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <semaphore>
#include <span>
#include <vector>

#include "runtime/stage.hpp"
#include "runtime/staging_pool.hpp"

namespace sparse_run {

/// When a stage ran, of the clock in base/clock.hpp; zero when it did not.
struct StageTime {
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
};

/// Executes all stages of a compiled graph for one request at a time; several requests in flight use one flow each.
/// The graph is built once and reused: a run resets the values and sends one message to the source. Stages in host
/// memory run in the arena. Stages of devices are submitted and continue from the device's own thread: no worker
/// waits for them.
class RequestFlow {
 public:
  /// `stages` and `staging` must outlive the flow. Construct inside the arena that is to execute it.
  RequestFlow(const Graph& graph, const StageGraph& stages, StagingPool& staging);
  ~RequestFlow();
  RequestFlow(const RequestFlow&) = delete;
  RequestFlow& operator=(const RequestFlow&) = delete;

  /// Values parallel to graph.inputs(), each let go once the last stage that reads it is done with it; the outputs in
  /// order, on the host. `states` by partition. The first error of any stage is rethrown after all running stages have
  /// ended; the flow is usable again afterwards.
  /// Call it inside the arena when no stage is asynchronous: the calling thread computes. Call it outside otherwise:
  /// the calling thread sleeps while the arena's workers and the devices work.
  std::vector<Value> run(std::vector<Value> inputs, std::span<RunState> states);
  /// Of the last run, parallel to the stages.
  std::span<const StageTime> times() const noexcept { return times_; }

 private:
  using Message = tbb::flow::continue_msg;
  using Join = tbb::flow::continue_node<Message>;
  using Asynchronous = tbb::flow::async_node<Message, Message>;
  /// `join` counts the stages before; it computes, or hands on to `device`.
  struct Nodes {
    std::unique_ptr<Join> join;
    std::unique_ptr<Asynchronous> device;
    tbb::flow::sender<Message>& sender() const;
  };
  class Ticket;

  Nodes make_nodes(std::size_t index);
  void execute(std::size_t index);
  void start(std::size_t index, Asynchronous::gateway_type& gateway);
  EventPtr submit(const Stage& stage);
  EventPtr submit_work(const Stage& stage);
  EventPtr submit_copy(const Stage& stage);
  void fail(std::exception_ptr error);
  std::vector<Value> collect() const;
  std::string describe(const Stage& stage) const;
  std::vector<Value>& at(Location location) { return values_[static_cast<std::size_t>(location + 1)]; }
  const std::vector<Value>& at(Location location) const { return values_[static_cast<std::size_t>(location + 1)]; }

  const Graph& graph_;
  const StageGraph& stages_;
  StagingPool& staging_;
  std::vector<bool> sole_reader_;  ///< by value: one stage reads it on the host, and no caller gets it
  tbb::flow::graph flow_;
  tbb::flow::broadcast_node<Message> source_;
  Join sink_;
  std::vector<Nodes> nodes_;
  std::binary_semaphore finished_{0};
  // Of one run:
  std::vector<std::vector<Value>> values_;  ///< by location (the host first), then by value
  std::vector<EventPtr> events_;
  std::vector<StageTime> times_;
  std::span<RunState> states_;
  std::atomic<bool> failed_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
};

}  // namespace sparse_run
