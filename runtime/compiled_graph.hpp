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
  /// Resolves, fuses, plans and compiles `graph` for inputs of these types.
  CompiledGraph(const Graph& graph, std::span<const Type> types, const Compiler& compiler);

  /// Values parallel to graph.inputs(). Must be called inside the session's arena.
  std::vector<Value> run(std::span<const Value> inputs, const Request& request) const;
  const std::shared_ptr<const CompileReport>& report() const noexcept { return report_; }

 private:
  std::unique_ptr<RequestFlow> take_flow() const;
  void trace_layers(const std::vector<LayerTimes>& times, Trace& trace) const;

  StagedGraph staged_;
  Plan plan_;
  std::vector<Stage> stages_;
  std::unique_ptr<GraphRunner> later_;
  std::shared_ptr<const CompileReport> report_;  // shared: handed to callers, who may outlive the cache entry
  mutable std::mutex flows_mutex_;
  mutable std::vector<std::unique_ptr<RequestFlow>> flows_;
};

}  // namespace sparse_run
