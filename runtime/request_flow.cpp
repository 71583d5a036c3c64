// Running one request through the flow graph of its partitions.
#include "runtime/request_flow.hpp"

#include <set>

namespace sparse_run {

RequestFlow::RequestFlow(const Graph& graph, std::span<const Stage> stages, const Plan& plan)
    : graph_(graph), stages_(stages), source_(flow_), values_(graph.values().size()) {
  for (std::size_t i = 0; i < stages.size(); ++i) {
    nodes_.push_back(std::make_unique<StageNode>(flow_, [this, i](const tbb::flow::continue_msg&) { execute(i); }));
  }
  std::set<std::pair<int, int>> joined;
  std::vector<bool> fed(stages.size(), false);
  for (const PlannedEdge& edge : plan.edges) {
    if (edge.from < 0 || !joined.emplace(edge.from, edge.to).second) continue;
    tbb::flow::make_edge(*nodes_[static_cast<std::size_t>(edge.from)], *nodes_[static_cast<std::size_t>(edge.to)]);
    fed[static_cast<std::size_t>(edge.to)] = true;
  }
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (!fed[i]) tbb::flow::make_edge(source_, *nodes_[i]);
  }
}

void RequestFlow::execute(std::size_t index) {
  if (failed_.load(std::memory_order_relaxed)) return;  // the messages still drain through the graph
  try {
    const Stage& stage = stages_[index];
    std::vector<Value> inputs;
    inputs.reserve(stage.partition.inputs.size());
    for (const ValueId id : stage.partition.inputs) inputs.push_back(values_[id]);
    std::vector<Value> outputs(stage.partition.outputs.size());
    stage.executable->run(inputs, outputs, states_[index]);
    for (std::size_t i = 0; i < outputs.size(); ++i) values_[stage.partition.outputs[i]] = std::move(outputs[i]);
  } catch (...) {
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
    failed_.store(true, std::memory_order_relaxed);
  }
}

std::vector<Value> RequestFlow::run(std::span<const Value> inputs, std::span<RunState> states) {
  states_ = states;
  for (std::size_t i = 0; i < inputs.size(); ++i) values_[graph_.inputs()[i]] = inputs[i];
  if (!nodes_.empty()) {
    source_.try_put(tbb::flow::continue_msg{});
    flow_.wait_for_all();
  }
  std::vector<Value> outputs;
  const std::exception_ptr error = std::exchange(error_, nullptr);
  failed_.store(false, std::memory_order_relaxed);
  if (!error) {
    for (const ValueId id : graph_.outputs()) {
      const Tensor* constant = graph_.value(id).tensor();
      const SparseTensor* sparse = graph_.value(id).sparse();
      outputs.push_back(constant ? Value(constant->clone()) : sparse ? Value(sparse->to_dense()) : values_[id]);
    }
  }
  for (Value& value : values_) value = Value{};
  if (error) std::rethrow_exception(error);
  return outputs;
}

}  // namespace sparse_run
