// Executes nodes and graphs with reference kernels, inferring types from actual values as it goes.
#include "cpu/reference/reference.hpp"
#include "graph/ops/infer.hpp"

namespace sparse_run::reference {

void Table::add(std::string_view op, Kernel kernel, std::string_view domain) {
  const bool added = kernels_.emplace(std::pair(domain, op), kernel).second;
  require(added, "reference kernel registered twice");
}

Kernel Table::find(const Node& node) const {
  const auto found = kernels_.find({node.domain, node.op});
  return found == kernels_.end() ? nullptr : found->second;
}

const Table& Table::standard() {
  static const Table table = [] {
    Table built;
    register_elementwise(built);
    register_reduction(built);
    register_convolution(built);
    register_matrix(built);
    register_movement(built);
    register_control(built);
    register_internal(built);
    return built;
  }();
  return table;
}

const Tensor& Context::input(std::size_t i) const {
  const Value& value = input_value(i);
  if (!value.is_tensor()) throw_error(ErrorKind::model, "input {} must be a tensor", i);
  return value.tensor;
}

namespace {

class NodeExecution final : public Context {
 public:
  NodeExecution(const Node& node, std::span<const Value> inputs, std::span<const Value> captures,
                std::mt19937_64& random, std::vector<Type> types)
      : node_(node), inputs_(inputs), captures_(captures), random_(random), types_(std::move(types)) {
    outputs_.resize(std::max(types_.size(), std::size_t{8}));
  }

  const Node& node() const override { return node_; }
  const Value& input_value(std::size_t i) const override {
    if (!has_input(i)) throw_error(ErrorKind::model, "input {} is required but omitted", i);
    return inputs_[i];
  }
  Tensor& output(std::size_t i) override {
    require(i < types_.size() && types_[i].is_concrete(), "reference kernel asked for an output that inference left open");
    if (outputs_[i].absent()) outputs_[i] = Tensor::allocate(types_[i].dtype, *types_[i].shape);
    return outputs_[i].tensor;
  }
  Tensor& allocate(std::size_t i, DType dtype, Shape shape) override {
    require(i < outputs_.size(), "reference kernel set an output the operator does not have");
    outputs_[i] = Tensor::allocate(dtype, std::move(shape));
    return outputs_[i].tensor;
  }
  void set_output(std::size_t i, Value value) override {
    require(i < outputs_.size(), "reference kernel set an output the operator does not have");
    outputs_[i] = std::move(value);
  }
  std::vector<Value> run_body(std::string_view attribute, std::span<const Value> inputs) override;
  std::mt19937_64& random() override { return random_; }
  std::vector<Value> take() {
    outputs_.resize(node_.outputs.size());
    return std::move(outputs_);
  }

 private:
  const Node& node_;
  std::span<const Value> inputs_;
  std::span<const Value> captures_;
  std::mt19937_64& random_;
  std::vector<Type> types_;
  std::vector<Value> outputs_;
};

std::vector<Value> run_nodes(const Graph& graph, std::span<const Value> inputs, std::span<const Value> captures,
                             std::mt19937_64& random) {
  if (inputs.size() != graph.inputs().size()) {
    throw_error(ErrorKind::model, "graph '{}' takes {} inputs, {} are given", graph.name(), graph.inputs().size(),
                inputs.size());
  }
  std::vector<Value> values(graph.values().size());
  for (std::size_t i = 0; i < inputs.size(); ++i) values[graph.inputs()[i]] = inputs[i];
  for (std::size_t i = 0; i < captures.size(); ++i) values[graph.captures()[i]] = captures[i];
  for (ValueId id = 0; id < values.size(); ++id) {
    if (const Tensor* tensor = graph.value(id).tensor()) values[id] = *tensor;
    if (const SparseTensor* sparse = graph.value(id).sparse()) values[id] = sparse->to_dense();
  }
  std::vector<Value> operands;
  std::vector<Value> captured;
  for (const Node& node : graph.nodes()) {
    operands.clear();
    captured.clear();
    for (const ValueId id : node.inputs) operands.push_back(id == kNoValue ? Value{} : values[id]);
    for (const ValueId id : node.captures) captured.push_back(values[id]);
    std::vector<Value> outputs = run_node(node, operands, captured, random);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (node.outputs[i] != kNoValue) values[node.outputs[i]] = std::move(outputs[i]);
    }
  }
  std::vector<Value> results;
  for (const ValueId id : graph.outputs()) results.push_back(values[id]);
  return results;
}

std::vector<Value> NodeExecution::run_body(std::string_view attribute, std::span<const Value> inputs) {
  const Graph& body = *node_.get<GraphPtr>(attribute);
  const auto outer = captures_of(node_, attribute);
  const auto offset = outer.empty() ? 0 : static_cast<std::size_t>(outer.data() - node_.captures.data());
  return run_nodes(body, inputs, captures_.subspan(offset, outer.size()), random_);
}

}  // namespace

std::vector<Value> run_node(const Node& node, std::span<const Value> inputs, std::span<const Value> captures,
                            std::mt19937_64& random) {
  std::vector<Type> types;
  std::vector<const Tensor*> constants;
  std::vector<Type> captured;
  for (const Value& value : inputs) {
    types.push_back(Type::of(value));
    constants.push_back(value.is_tensor() && !value.absent() ? &value.tensor : nullptr);
  }
  for (const Value& value : captures) captured.push_back(Type::of(value));
  std::vector<Type> outputs = infer_node(node, types, constants, captured);
  return with_context([&] { return node.describe(); },
                      [&] {
                        const Kernel kernel = Table::standard().find(node);
                        if (kernel == nullptr) {
                          throw_error(ErrorKind::unsupported, "operator {} has no kernel at opset {}", node.op,
                                      node.opset);
                        }
                        NodeExecution execution(node, inputs, captures, random, std::move(outputs));
                        kernel(execution);
                        return execution.take();
                      });
}

std::vector<Value> run_graph(const Graph& graph, std::span<const Value> inputs, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  return run_nodes(graph, inputs, {}, random);
}

}  // namespace sparse_run::reference
