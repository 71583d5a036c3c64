// A request of known duration over an emulated device.
#include "cli/handover_timing.hpp"

#include <algorithm>

#include "cpu/device.hpp"
#include "cpu/reference/evaluator.hpp"
#include "gpu/emulated/emulated_gpu.hpp"
#include "partitioner/layer_timing.hpp"
#include "runtime/plan_trial.hpp"

namespace sparse_run::cli {

namespace {

constexpr double kStageSeconds = 500e-6;  // long enough that threads that wait have gone to sleep
constexpr int kStages = 3;                // that end on a thread of the device: copy in, compute, copy out
constexpr double kSeconds = 0.3;

/// Three activations one after the other, of so few numbers that computing them takes no time.
std::shared_ptr<const Graph> three_layers() {
  GraphBuilder builder("handover");
  const Type type = Type::tensor(DType::f32, Shape{1, 16});
  ValueId value = builder.add_input("x", type);
  for (const char* name : {"first", "second", "third"}) {
    Node node;
    node.name = name;
    node.op = "Relu";
    node.opset = 17;
    node.inputs = {value};
    value = builder.add_value(name, type);
    node.outputs = {value};
    builder.add_node(std::move(node));
  }
  builder.add_output(value);
  return std::make_shared<const Graph>(std::move(builder).build());
}

}  // namespace

MeasuredNumber time_handover(const Machine& machine, int threads) {
  const auto cpu = cpu::make_cpu_device(machine);
  gpu::EmulatedGpuOptions emulation;
  emulation.memory_bytes = std::size_t{1} << 20;
  emulation.dispatch_s = kStageSeconds;
  emulation.copy_latency_s = kStageSeconds;
  const auto device = std::make_shared<gpu::EmulatedGpu>(emulation, cpu);
  const auto graph = three_layers();
  Plan plan;
  plan.policy = "handover";
  plan.partitions.resize(3);
  for (std::size_t p = 0; p < 3; ++p) {
    plan.partitions[p].device = p == 1 ? device->name() : cpu->name();
    plan.partitions[p].nodes = {static_cast<NodeId>(p)};
  }
  connect_partitions(plan, *graph);
  SessionOptions options;
  options.threads = threads;
  PlanTrial request(graph, plan, {cpu, device}, std::make_shared<reference::ReferenceEvaluator>(), options);
  const Timing timing = time_steadily([&] { return request.run_once(); }, kSeconds);
  const double left = std::max(0.0, timing.median_s - kStages * kStageSeconds);
  const double relative = left > 0 ? timing.spread * timing.median_s / left : 0;
  return {1e6 * left / kStages, relative, timing.count};
}

}  // namespace sparse_run::cli
