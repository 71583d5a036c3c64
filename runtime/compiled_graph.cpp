// Compiling a graph for a signature, and running it.
#include "runtime/compiled_graph.hpp"

#include <algorithm>
#include <set>

#include "base/clock.hpp"
#include "graph/passes/pipeline.hpp"

namespace sparse_run {

namespace {

/// Inputs and outputs of a planned partition, by looking at who computes and who reads each value.
Partition make_partition(const std::shared_ptr<const Graph>& graph, const std::vector<NodeId>& nodes) {
  Partition partition{graph, nodes, {}, {}};
  const std::set<NodeId> inside(nodes.begin(), nodes.end());
  std::set<ValueId> seen;
  for (const NodeId node_id : nodes) {
    const Node& node = graph->node(node_id);
    const auto read = [&](ValueId id) {
      if (id == kNoValue || graph->value(id).constant || !seen.insert(id).second) return;
      const auto producer = graph->producer(id);
      if (!producer || !inside.contains(*producer)) partition.inputs.push_back(id);
    };
    for (const ValueId id : node.inputs) read(id);
    for (const ValueId id : node.captures) read(id);
    for (const ValueId id : node.outputs) {
      if (id == kNoValue) continue;
      const auto consumers = graph->consumers(id);
      const bool leaves = graph->is_output(id) || std::any_of(consumers.begin(), consumers.end(),
                                                              [&](NodeId reader) { return !inside.contains(reader); });
      if (leaves) partition.outputs.push_back(id);
    }
  }
  return partition;
}

}  // namespace

CompiledGraph::CompiledGraph(const Graph& graph, std::span<const Type> types, const Compiler& compiler) {
  const auto start = Clock::now();
  auto report = std::make_shared<CompileReport>();
  report->signature = signature_of(graph, types);
  const auto specialized = std::make_shared<const Graph>(
      specialize(graph, types, *compiler.evaluator, compiler.options.passes, &report->passes));
  staged_ = split_stages(specialized);
  if (staged_.later) later_ = std::make_unique<GraphRunner>(staged_.later, compiler);

  plan_ = compiler.planner(*staged_.now);
  validate_plan(plan_, *staged_.now);
  for (const PlannedPartition& planned : plan_.partitions) {
    const auto device = std::find_if(compiler.devices.begin(), compiler.devices.end(),
                                     [&](const auto& candidate) { return candidate->name() == planned.device; });
    if (device == compiler.devices.end()) {
      throw_error(ErrorKind::usage, "the plan names device '{}', which this session does not have", planned.device);
    }
    Stage stage;
    stage.partition = make_partition(staged_.now, planned.nodes);
    CompileOptions options{compiler.options.threads};
    for (std::size_t i = 0; i < planned.kernels.size(); ++i) {
      if (!planned.kernels[i].empty()) options.kernels[planned.nodes[i]] = planned.kernels[i];
    }
    stage.executable = (*device)->compile(stage.partition, options);
    report->layers.push_back(stage.executable->layers());
    report->workspace_bytes += stage.executable->workspace_bytes();
    report->weight_bytes += stage.executable->weight_bytes();
    stages_.push_back(std::move(stage));
  }
  const std::size_t limit = compiler.options.memory_limit;
  if (limit != 0 && report->workspace_bytes + report->weight_bytes > limit) {
    throw_error(ErrorKind::limit,
                "{} needs {} bytes of working memory and {} bytes of packed weights, above the limit of {}; raise "
                "--memory-limit or use a smaller batch",
                report->signature, report->workspace_bytes, report->weight_bytes, limit);
  }
  report->graph = staged_.now;
  report->plan = plan_;
  report->compile_s = seconds_since(start);
  report_ = std::move(report);
}

std::unique_ptr<RequestFlow> CompiledGraph::take_flow() const {
  {
    const std::lock_guard lock(flows_mutex_);
    if (!flows_.empty()) {
      auto flow = std::move(flows_.back());
      flows_.pop_back();
      return flow;
    }
  }
  return std::make_unique<RequestFlow>(*staged_.now, stages_, plan_);
}

void CompiledGraph::trace_layers(const std::vector<LayerTimes>& times, Trace& trace) const {
  for (std::size_t i = 0; i < times.size(); ++i) {
    const std::vector<LayerReport>& layers = report_->layers[i];
    if (times[i].begin_ns.empty()) continue;
    for (std::size_t j = 0; j < layers.size(); ++j) {
      trace.add({layers[j].name, "layer", times[i].begin_ns[j], times[i].end_ns[j],
                 fmt::format("{} {} {}", layers[j].op, layers[j].kernel, layers[j].shape)});
    }
  }
}

std::vector<Value> CompiledGraph::run(std::span<const Value> inputs, const Request& request) const {
  std::vector<LayerTimes> own_times;
  std::vector<LayerTimes>* times = request.times;
  if (times == nullptr && request.trace != nullptr) times = &own_times;
  if (times != nullptr) times->resize(stages_.size());
  std::vector<RunState> states(stages_.size());
  for (std::size_t i = 0; i < states.size(); ++i) {
    states[i] = {request.bodies, request.cancelled, times != nullptr ? &(*times)[i] : nullptr, request.random};
  }
  auto flow = take_flow();
  std::vector<Value> values = flow->run(inputs, states);  // a flow that failed is dropped
  {
    const std::lock_guard lock(flows_mutex_);
    flows_.push_back(std::move(flow));
  }
  if (request.trace != nullptr) trace_layers(*times, *request.trace);

  std::vector<Value> rest;
  if (later_) {
    std::vector<Value> crossing;
    crossing.reserve(staged_.later_inputs.size());
    for (const std::size_t index : staged_.later_inputs) crossing.push_back(values[index]);
    Request continued = request;
    continued.times = nullptr;
    rest = later_->run(crossing, continued);
  }
  std::vector<Value> outputs;
  outputs.reserve(staged_.outputs.size());
  for (const StagedGraph::Source& source : staged_.outputs) {
    outputs.push_back(source.later ? rest[source.index] : values[source.index]);
  }
  return outputs;
}

}  // namespace sparse_run
