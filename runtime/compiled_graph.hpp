// A graph compiled for one input-shape signature: its stages, and what is left for when shapes are known.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "runtime/graph_runner.hpp"
#include "runtime/request_flow.hpp"
#include "runtime/session.hpp"
#include "runtime/stage_split.hpp"

namespace sparse_run {

/// Immutable but for its pool of idle flows; run() may be called from several threads.
class CompiledGraph {
 public:
  /// Resolves, fuses, plans and compiles `graph` for inputs of these types. `compiler` must outlive it.
  CompiledGraph(const Graph& graph, std::span<const Type> types, const Compiler& compiler);

  /// Values parallel to graph.inputs(), each let go when nothing reads it any more. Called inside the session's arena,
  /// unless asynchronous(): then outside.
  std::vector<Value> run(std::vector<Value> inputs, const Request& request) const;
  /// Something runs on a device with memory of its own: the caller waits for it.
  bool asynchronous() const noexcept { return asynchronous_; }
  const std::shared_ptr<const CompileReport>& report() const noexcept { return report_; }

 private:
  std::unique_ptr<RequestFlow> take_flow() const;
  std::vector<Value> run_stages(std::vector<Value> inputs, std::span<RunState> states, std::vector<LayerTimes>* times,
                                const Request& request) const;
  void compile_stages(CompileReport& report);
  void trace_stages(std::span<const StageTime> stages, const std::vector<LayerTimes>& layers, Trace& trace) const;

  const Compiler& compiler_;
  StagedGraph staged_;
  StageGraph stages_;
  Admission::Grant held_;  ///< device memory of weights and workspace
  bool asynchronous_ = false;
  std::unique_ptr<GraphRunner> later_;
  std::shared_ptr<const CompileReport> report_;  // shared: handed to callers, who may outlive the cache entry
  mutable std::mutex flows_mutex_;
  mutable std::vector<std::unique_ptr<RequestFlow>> flows_;
};

}  // namespace sparse_run
