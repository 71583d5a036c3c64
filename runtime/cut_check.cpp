// Computing partitions on two devices.
#include "runtime/cut_check.hpp"

#include <algorithm>
#include <map>

namespace sparse_run {

namespace {

/// Runs an executable of any device on values of the host.
std::vector<Value> run_on(Device& device, const Executable& executable, const Partition& partition,
                          std::span<const Value> inputs, RunState& state, tbb::task_arena& arena) {
  std::vector<Value> outputs(partition.outputs.size());
  DeviceMemory* memory = device.memory();
  if (memory == nullptr) {
    arena.execute([&] { executable.run(inputs, outputs, state); });
    return outputs;
  }
  std::vector<Value> there;
  std::vector<TensorCopy> inward;
  for (const Value& value : inputs) {
    there.emplace_back(memory->allocate(value.tensor.dtype(), value.tensor.shape()));
    inward.push_back({value.tensor, there.back().tensor});
  }
  std::vector<Value> results;
  std::vector<TensorCopy> outward;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Type& type = partition.graph->value(partition.outputs[i]).type;
    results.emplace_back(memory->allocate(type.dtype, *type.shape));
    outputs[i] = Tensor::allocate(type.dtype, *type.shape);
    outward.push_back({results.back().tensor, outputs[i].tensor});
  }
  const EventPtr arrived = memory->copy_in(std::move(inward), {});
  const EventPtr computed = executable.submit(std::move(there), std::move(results), state, {arrived});
  memory->copy_out(std::move(outward), {computed})->wait();
  return outputs;
}

/// Why a device cannot run a partition; empty when it can.
std::string refusal(const Device& device, const Partition& partition) {
  for (const NodeId id : partition.nodes) {
    const Node& node = partition.graph->node(id);
    const std::string reason = device.refusal(*partition.graph, node);
    if (!reason.empty()) return node.describe() + ": " + reason;
  }
  return {};
}

class CutCheck {
 public:
  CutCheck(const Graph& graph, const CutContext& context, const CutVisitor& visit)
      : graph_(graph), context_(context), visit_(visit), values_(graph.values().size()) {}

  std::vector<Value> run(std::span<const Value> inputs, std::span<RunState> states) {
    for (std::size_t i = 0; i < inputs.size(); ++i) values_[graph_.inputs()[i]] = inputs[i];
    for (const Stage& stage : context_.stages.stages) {
      if (stage.kind == Stage::Kind::compute) check(stage, states[static_cast<std::size_t>(stage.partition)]);
    }
    std::vector<Value> outputs;
    for (const ValueId id : graph_.outputs()) {
      const Tensor* constant = graph_.value(id).tensor();
      const SparseTensor* sparse = graph_.value(id).sparse();
      outputs.push_back(constant ? Value(constant->clone()) : sparse ? Value(sparse->to_dense()) : values_[id]);
    }
    return outputs;
  }

 private:
  Device& device(const std::string& name) const {
    const auto& devices = context_.stages.devices;
    const auto found = std::find_if(devices.begin(), devices.end(), [&](const auto& d) { return d->name() == name; });
    require(found != devices.end(), "a plan that was laid out names a device that is not there");
    return **found;
  }

  void check(const Stage& stage, RunState& state) {
    const auto p = static_cast<std::size_t>(stage.partition);
    const std::string& here = context_.plan.partitions[p].device;
    std::vector<Value> inputs;
    for (const ValueId id : stage.work.inputs) inputs.push_back(values_[id]);
    const std::vector<Value> planned =
        run_on(device(here), *stage.executable, stage.work, inputs, state, context_.arena);
    for (std::size_t i = 0; i < planned.size(); ++i) values_[stage.work.outputs[i]] = planned[i];

    std::map<std::string, std::vector<const PlannedEdge*>> readers;
    for (const PlannedEdge& edge : context_.plan.edges) {
      if (edge.from != stage.partition) continue;
      const std::string& there = context_.plan.partitions[static_cast<std::size_t>(edge.to)].device;
      if (there != here) readers[there].push_back(&edge);
    }
    for (const auto& [there, edges] : readers) {
      Device& other = device(there);
      const std::string reason = refusal(other, stage.work);
      std::vector<Value> results(planned.size());
      if (reason.empty()) {
        with_context([&] { return fmt::format("partition {} on {}", p, there); },
                     [&] { results = compute(other, stage.work, inputs, state); });
      }
      for (const PlannedEdge* edge : edges) {
        const auto& outputs = stage.work.outputs;
        const auto i =
            static_cast<std::size_t>(std::find(outputs.begin(), outputs.end(), edge->value) - outputs.begin());
        visit_({graph_.value(edge->value).name, edge->from, edge->to, here, there, edge->bytes, reason}, planned.at(i),
               results.at(i));
      }
    }
  }

  std::vector<Value> compute(Device& other, const Partition& partition, std::span<const Value> inputs,
                             RunState state) const {
    state.times = nullptr;  // they belong to the planned device's steps
    const auto executable = context_.arena.execute([&] { return other.compile(partition, {context_.threads, {}}); });
    return run_on(other, *executable, partition, inputs, state, context_.arena);
  }

  const Graph& graph_;
  const CutContext& context_;
  const CutVisitor& visit_;
  std::vector<Value> values_;  // on the host
};

}  // namespace

std::vector<Value> check_cuts(const Graph& graph, const CutContext& context, std::span<const Value> inputs,
                              std::span<RunState> states, const CutVisitor& visit) {
  return CutCheck(graph, context, visit).run(inputs, states);
}

}  // namespace sparse_run
