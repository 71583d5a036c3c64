// Running one node on the device and with the oracle.
#include "tests/cuda/node_trial.hpp"

#include <cstdlib>

#include "cpu/reference/reference.hpp"

namespace sparse_run::gpu::cuda {

NodeTrial::NodeTrial(std::string op, int opset, std::string_view domain) {
  node_.name = "tested";
  node_.op = std::move(op);
  node_.opset = domain.empty() ? opset : 1;
  node_.domain = domain;
}

NodeTrial& NodeTrial::with(std::string attribute, Attribute value) {
  node_.attributes.insert_or_assign(std::move(attribute), std::move(value));
  return *this;
}

NodeTrial& NodeTrial::operand(Tensor tensor) {
  operands_.push_back({std::move(tensor), false});
  return *this;
}

NodeTrial& NodeTrial::constant(Tensor tensor) {
  operands_.push_back({std::move(tensor), true});
  return *this;
}

NodeTrial& NodeTrial::omitted() {
  operands_.push_back({});
  return *this;
}

NodeTrial& NodeTrial::results(std::size_t count) {
  results_ = count;
  return *this;
}

std::vector<Value> NodeTrial::expected() const {
  Node node = node_;
  std::vector<Value> values;
  for (std::size_t i = 0; i < operands_.size(); ++i) {
    const bool absent = operands_[i].tensor.empty_handle();
    node.inputs.push_back(absent ? kNoValue : static_cast<ValueId>(i));
    values.push_back(absent ? Value() : Value(operands_[i].tensor));
  }
  for (std::size_t i = 0; i < results_; ++i) node.outputs.push_back(static_cast<ValueId>(operands_.size() + i));
  std::mt19937_64 random(0);
  std::vector<Value> results = reference::run_node(node, values, {}, random);
  results.resize(results_);
  return results;
}

std::shared_ptr<const Graph> NodeTrial::graph() const {
  GraphBuilder builder("trial");
  Node node = node_;
  for (std::size_t i = 0; i < operands_.size(); ++i) {
    const auto& [tensor, constant] = operands_[i];
    const std::string name = "operand" + std::to_string(i);
    if (tensor.empty_handle()) {
      node.inputs.push_back(kNoValue);
    } else if (constant) {
      node.inputs.push_back(builder.add_constant(name, tensor));
    } else {
      node.inputs.push_back(builder.add_input(name, Type::tensor(tensor.dtype(), tensor.shape())));
    }
  }
  for (const Value& value : expected()) node.outputs.push_back(builder.add_value("", Type::of(value)));
  const std::vector<ValueId> outputs = node.outputs;
  builder.add_node(std::move(node));
  for (const ValueId id : outputs) builder.add_output(id);
  return std::make_shared<const Graph>(std::move(builder).build());
}

std::string NodeTrial::refusal(Device& device) const {
  const auto built = graph();
  return device.refusal(*built, built->nodes()[0]);
}

NodeTrial::Outcome NodeTrial::run(Device& device, const std::string& kernel) const {
  std::vector<Tensor> inputs;
  for (const Operand& operand : operands_) {
    if (!operand.constant && !operand.tensor.empty_handle()) inputs.push_back(operand.tensor);
  }
  return run_graph(device, graph(), inputs, kernel);
}

NodeTrial::Outcome run_graph(Device& device, const std::shared_ptr<const Graph>& graph,
                             const std::vector<Tensor>& inputs, const std::string& kernel) {
  Partition partition{graph, {}, {}, {}};
  for (NodeId id = 0; id < graph->nodes().size(); ++id) partition.nodes.push_back(id);
  partition.inputs.assign(graph->inputs().begin(), graph->inputs().end());
  partition.outputs.assign(graph->outputs().begin(), graph->outputs().end());
  CompileOptions options;
  if (!kernel.empty()) options.kernels[0] = kernel;
  const auto executable = device.compile(partition, options);
  DeviceMemory& memory = *device.memory();
  std::vector<Value> in;
  std::vector<TensorCopy> copies;
  for (const Tensor& input : inputs) {
    in.emplace_back(memory.allocate(input.dtype(), input.shape()));
    copies.push_back({input, in.back().tensor});
  }
  std::vector<Value> out;
  std::vector<TensorCopy> back;
  for (const ValueId id : graph->outputs()) {
    const Type& type = graph->value(id).type;
    out.emplace_back(memory.allocate(type.dtype, *type.shape));
    back.push_back({out.back().tensor, Tensor::allocate(type.dtype, *type.shape)});
  }
  RunState state;
  const EventPtr arrived = memory.copy_in(copies, {});
  const EventPtr computed = executable->submit(in, out, state, {arrived});
  memory.copy_out(back, {computed})->wait();
  NodeTrial::Outcome outcome;
  for (const TensorCopy& copy : back) outcome.results.push_back(copy.to);
  if (!executable->layers().empty()) {
    outcome.kernel = executable->layers()[0].kernel;
    outcome.refusals = executable->layers()[0].refusals;
  }
  return outcome;
}

std::optional<int> tested_gpu() {
  const char* index = std::getenv("SPARSE_RUN_TEST_GPU");
  if (index == nullptr) return std::nullopt;
  return std::atoi(index);
}

std::shared_ptr<Device> host_device(const GpuOptions& options, bool bare) {
  if (const auto index = tested_gpu()) {
    Libraries libraries = load_libraries();
    if (bare) libraries.blas.table.reset(), libraries.dnn.table.reset(), libraries.sparse.table.reset();
    return open_cuda_device(libraries, *index, options);
  }
  return open_cuda_device(bare ? host_cuda::bare_libraries() : host_cuda::host_libraries(), host_cuda::add_host_gpu(),
                          options);
}

Tensor random_tensor(std::mt19937_64& random, Shape shape, double zeros) {
  std::uniform_real_distribution<float> value(-1, 1);
  std::bernoulli_distribution is_zero(zeros);
  Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
  for (float& element : tensor.data<float>()) element = is_zero(random) ? 0.0f : value(random);
  return tensor;
}

}  // namespace sparse_run::gpu::cuda
