// Sessions for given plans.
#include "bench/placement/measured.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "cpu/device.hpp"
#include "cpu/reference/evaluator.hpp"
#include "gpu/emulated/emulated_gpu.hpp"
#include "graph/passes/pipeline.hpp"

namespace sparse_run::bench {

namespace {

Value random_input(const Type& type, std::mt19937_64& random) {
  Tensor tensor = Tensor::allocate(type.dtype, *type.shape);
  if (type.dtype == DType::f32) {
    for (float& value : tensor.data<float>()) value = static_cast<float>(random() % 2048) / 1024.0f - 1;
  } else if (type.dtype == DType::i64) {
    for (std::int64_t& value : tensor.data<std::int64_t>()) value = static_cast<std::int64_t>(random() % 2);
  } else {
    throw_error(ErrorKind::unsupported, "placement-bench: inputs of type {} cannot be made up", to_string(type));
  }
  return Value(std::move(tensor));
}

/// Sessions number values anew, so plans are handed over by names, and edges derived there.
std::string without_edges(const std::string& plan) {
  auto json = nlohmann::ordered_json::parse(plan);
  json.erase("edges");
  return json.dump();
}

}  // namespace

bool can_run(const Topology& topology) {
  const HostSpec& host = topology.hosts.front();
  return std::all_of(host.devices.begin(), host.devices.end(),
                     [](const DeviceSpec& device) { return device.kind == DeviceKind::cpu || device.emulated; });
}

MeasuredPlan::MeasuredPlan(std::shared_ptr<const Graph> graph, const Plan& plan, const Topology& topology) {
  const Machine machine = discover_machine();
  const auto cpu = cpu::make_cpu_device(machine);
  std::vector<std::shared_ptr<Device>> devices = {cpu};
  const HostSpec& host = topology.hosts.front();
  for (const DeviceSpec& spec : host.devices) {
    if (!spec.emulated) continue;
    const LinkSpec link = host.link(host.cpu().name, spec.name);
    gpu::EmulatedGpuOptions options;
    options.name = spec.name;
    options.memory_bytes = spec.memory_bytes;
    options.flops_per_s = spec.dense_gflops * 1e9;
    options.memory_bytes_per_s = spec.memory_gb_per_s * 1e9;
    options.launch_s = spec.launch_us * 1e-6;
    options.dispatch_s = spec.dispatch_us * 1e-6;
    options.replay_bytes = std::size_t{256} << 20;
    options.copy_bytes_per_s = link.gb_per_s * 1e9;
    options.copy_latency_s = link.latency_us * 1e-6;
    devices.push_back(std::make_shared<gpu::EmulatedGpu>(options, cpu));
  }
  std::mt19937_64 random(1);
  std::vector<Type> types;
  for (const ValueId id : graph->inputs()) {
    types.push_back(graph->value(id).type);
    inputs_.push_back(random_input(types.back(), random));
  }
  // The graph has been through all passes; running them again would give another one than the plan's.
  SessionOptions session_options;
  for (const auto* pipeline : {&load_passes(), &specialize_passes()}) {
    for (const auto& pass : pipeline->passes()) session_options.passes.disabled.emplace(pass->name());
  }
  const std::shared_ptr<const Graph> made_for = graph;
  session_ = std::make_unique<Session>(
      std::move(graph), std::move(devices), std::make_shared<reference::ReferenceEvaluator>(),
      [text = without_edges(plan_to_json(plan, *made_for))](const Graph& same) { return plan_from_json(text, same); },
      session_options);
  session_->prepare(types);
  run_once();
}

double MeasuredPlan::run_once() {
  const auto start = Clock::now();
  session_->run(inputs_);
  return seconds_since(start);
}

}  // namespace sparse_run::bench
