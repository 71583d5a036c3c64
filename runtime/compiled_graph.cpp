// Compiling a graph for a signature, and running it.
#include "runtime/compiled_graph.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "graph/passes/pipeline.hpp"

namespace sparse_run {

CompiledGraph::CompiledGraph(const Graph& graph, std::span<const Type> types, const Compiler& compiler)
    : compiler_(compiler) {
  const auto start = Clock::now();
  auto report = std::make_shared<CompileReport>();
  report->signature = signature_of(graph, types);
  const auto specialized = std::make_shared<const Graph>(
      specialize(graph, types, *compiler.evaluator, compiler.options.passes, &report->passes));
  staged_ = split_stages(specialized);
  if (staged_.later) later_ = std::make_unique<GraphRunner>(staged_.later, compiler);

  report->graph = staged_.now;
  report->plan = compiler.planner(*staged_.now);
  validate_plan(report->plan, *staged_.now);
  stages_ = lay_out_stages(staged_.now, report->plan, compiler.devices);
  const bool devices_later = later_ && std::any_of(compiler.devices.begin(), compiler.devices.end(),
                                                   [](const auto& device) { return device->memory() != nullptr; });
  asynchronous_ = stages_.asynchronous || devices_later;
  compile_stages(*report);
  report->compile_s = seconds_since(start);
  report_ = std::move(report);
}

void CompiledGraph::compile_stages(CompileReport& report) {
  std::vector<std::size_t> held(compiler_.devices.size(), 0);
  report.layers.resize(report.plan.partitions.size());
  for (Stage& stage : stages_.stages) {
    if (stage.kind != Stage::Kind::compute) continue;
    const auto p = static_cast<std::size_t>(stage.partition);
    const PlannedPartition& planned = report.plan.partitions[p];
    const auto device = std::find_if(compiler_.devices.begin(), compiler_.devices.end(),
                                     [&](const auto& candidate) { return candidate->name() == planned.device; });
    CompileOptions options{compiler_.options.threads};
    for (std::size_t i = 0; i < planned.kernels.size(); ++i) {
      if (!planned.kernels[i].empty()) options.kernels[planned.nodes[i]] = planned.kernels[i];
    }
    stage.executable = (*device)->compile(stage.work, options);
    report.layers[p] = stage.executable->layers();
    const std::size_t workspace = stage.executable->workspace_bytes();
    const std::size_t weights = stage.executable->weight_bytes();
    if (stage.location != kHost) {
      held[static_cast<std::size_t>(stage.location)] += workspace + weights;
    } else {
      report.workspace_bytes += workspace;
      report.weight_bytes += weights;
    }
  }
  const std::size_t limit = compiler_.options.memory_limit;
  if (limit != 0 && report.workspace_bytes + report.weight_bytes > limit) {
    throw_error(ErrorKind::limit,
                "{} needs {} bytes of working memory and {} bytes of packed weights, above the limit of {}; raise "
                "--memory-limit or use a smaller batch",
                report.signature, report.workspace_bytes, report.weight_bytes, limit);
  }
  for (std::size_t i = 0; i < held.size(); ++i) {
    if (compiler_.devices[i]->memory() == nullptr) continue;
    report.devices.push_back({compiler_.devices[i]->name(), held[i], stages_.request_bytes[i]});
  }
  held_ = compiler_.admission->hold(std::move(held), stages_.request_bytes);
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
  return compiler_.arena->execute(
      [&] { return std::make_unique<RequestFlow>(*staged_.now, stages_, *compiler_.staging); });
}

void CompiledGraph::trace_stages(std::span<const StageTime> stages, const std::vector<LayerTimes>& layers,
                                 Trace& trace) const {
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const Stage& stage = stages_.stages[i];
    std::string track;
    if (stage.location != kHost) {
      const std::string device = stages_.devices[static_cast<std::size_t>(stage.location)]->name();
      const bool computes = stage.kind == Stage::Kind::compute;
      track = device + (computes ? " compute" : stage.kind == Stage::Kind::copy_in ? " copy in" : " copy out");
      if (stages[i].end_ns == 0) continue;
      trace.add({stage.describe(device), computes ? "partition" : "copy", stages[i].begin_ns, stages[i].end_ns,
                 computes ? std::string() : fmt::format("{} bytes", stage.bytes), track});
    }
    if (stage.kind != Stage::Kind::compute) continue;
    const LayerTimes& times = layers[static_cast<std::size_t>(stage.partition)];
    const std::vector<LayerReport>& reports = report_->layers[static_cast<std::size_t>(stage.partition)];
    for (std::size_t j = 0; j < std::min(reports.size(), times.begin_ns.size()); ++j) {
      trace.add({reports[j].name, "layer", times.begin_ns[j], times.end_ns[j],
                 fmt::format("{} {} {}", reports[j].op, reports[j].kernel, reports[j].shape), track});
    }
  }
}

std::vector<Value> CompiledGraph::run_stages(std::vector<Value> inputs, std::span<RunState> states,
                                             std::vector<LayerTimes>* times, const Request& request) const {
  const Admission::Grant grant =
      stages_.asynchronous ? compiler_.admission->enter(stages_.request_bytes, request.cancelled) : Admission::Grant();
  if (request.cuts != nullptr) {
    return check_cuts(*staged_.now, {report_->plan, stages_, *compiler_.arena, compiler_.options.threads}, inputs,
                      states, *request.cuts);
  }
  auto flow = take_flow();
  std::vector<Value> values = flow->run(std::move(inputs), states);  // a flow that failed is dropped
  if (request.trace != nullptr) trace_stages(flow->times(), *times, *request.trace);
  const std::lock_guard lock(flows_mutex_);
  flows_.push_back(std::move(flow));
  return values;
}

std::vector<Value> CompiledGraph::run(std::vector<Value> inputs, const Request& request) const {
  std::vector<LayerTimes> own_times;
  std::vector<LayerTimes>* times = request.times;
  if (times == nullptr && request.trace != nullptr) times = &own_times;
  const std::size_t partitions = report_->plan.partitions.size();
  if (times != nullptr) times->resize(partitions);
  std::vector<RunState> states(partitions);
  for (std::size_t i = 0; i < states.size(); ++i) {
    states[i] = {request.bodies, request.cancelled, times != nullptr ? &(*times)[i] : nullptr, request.random};
  }
  std::vector<Value> values = run_stages(std::move(inputs), states, times, request);
  std::vector<Value> outputs(staged_.outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!staged_.outputs[i].later) outputs[i] = values[staged_.outputs[i].index];
  }
  if (!later_) return outputs;
  std::vector<Value> crossing;
  crossing.reserve(staged_.later_inputs.size());
  for (const std::size_t index : staged_.later_inputs) crossing.push_back(values[index]);
  values.clear();
  Request continued = request;
  continued.times = nullptr;
  std::vector<Value> rest = later_->run(std::move(crossing), continued);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (staged_.outputs[i].later) outputs[i] = rest[staged_.outputs[i].index];
  }
  return outputs;
}

}  // namespace sparse_run
