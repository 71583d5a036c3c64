// The reference kernel of a node as a step.
#include "cpu/reference_step.hpp"

#include <algorithm>
#include <utility>

#include "graph/ops/infer.hpp"

namespace sparse_run::cpu {

namespace {

class StepContext final : public reference::Context {
 public:
  StepContext(const Node& node, const StepArguments& arguments, std::vector<Type> types)
      : node_(node), arguments_(arguments), types_(std::move(types)), unwanted_(std::max(types_.size(), std::size_t{8})) {}

  const Node& node() const override { return node_; }
  const Value& input_value(std::size_t i) const override {
    if (!has_input(i)) throw_error(ErrorKind::model, "input {} is required but omitted", i);
    return arguments_.values[static_cast<std::size_t>(arguments_.inputs[i])];
  }
  Tensor& output(std::size_t i) override {
    Value& value = slot(i);
    if (value.absent()) {
      require(i < types_.size() && types_[i].is_concrete(), "reference kernel asked for an output that inference left open");
      value = Tensor::allocate(types_[i].dtype, *types_[i].shape);
    }
    return value.tensor;
  }
  Tensor& allocate(std::size_t i, DType dtype, Shape shape) override {
    Value& value = slot(i);
    if (value.absent()) {
      value = Tensor::allocate(dtype, std::move(shape));
    } else {
      require(value.is_tensor() && value.tensor.dtype() == dtype && value.tensor.shape() == shape,
              "a planned output has another type than the kernel produced");
    }
    return value.tensor;
  }
  void set_output(std::size_t i, Value result) override {
    Value& value = slot(i);
    if (value.absent()) {
      value = std::move(result);
      make_lasting(value);
    } else {  // memory is planned: the result has to be there
      require(result.is_tensor() && result.tensor.shape() == value.tensor.shape(),
              "a planned output has another shape than the kernel produced");
      value.tensor.copy_from(result.tensor);
    }
  }
  std::vector<Value> run_body(std::string_view attribute, std::span<const Value> inputs) override {
    const GraphPtr& body = node_.get<GraphPtr>(attribute);
    const auto outer = captures_of(node_, attribute);
    const auto offset = outer.empty() ? 0 : static_cast<std::size_t>(outer.data() - node_.captures.data());
    std::vector<Value> captured;
    for (std::size_t i = 0; i < outer.size(); ++i) {
      captured.push_back(arguments_.values[static_cast<std::size_t>(
          arguments_.inputs[node_.inputs.size() + offset + i])]);
    }
    arguments_.state->check_cancelled();
    return arguments_.state->bodies->run_body(body, inputs, captured);
  }
  std::mt19937_64& random() override { return *arguments_.state->random; }

 private:
  /// Gives memory of its own to what shares an operand's, or a body's, which other values take over later. Elements of
  /// a sequence operand have had their own since they entered it.
  void make_lasting(Value& value) const {
    for (Value& element : value.elements) make_lasting(element);
    if (!value.is_tensor() || value.absent()) return;
    const bool borrowed =
        value.tensor.owner() == nullptr || std::ranges::any_of(arguments_.inputs, [&](int operand) {
          return operand >= 0 && arguments_.values[static_cast<std::size_t>(operand)].is_tensor() &&
                 std::as_const(arguments_.values[static_cast<std::size_t>(operand)].tensor).raw() == value.tensor.raw();
        });
    if (borrowed) value.tensor = value.tensor.clone();
  }
  Value& slot(std::size_t i) {
    if (has_output(i)) return arguments_.values[static_cast<std::size_t>(arguments_.outputs[i])];
    require(i < unwanted_.size(), "reference kernel set an output the operator does not have");
    return unwanted_[i];
  }

  const Node& node_;
  const StepArguments& arguments_;
  std::vector<Type> types_;
  std::vector<Value> unwanted_;
};

class ReferenceStep final : public Step {
 public:
  ReferenceStep(const Graph& graph, const Node& node) : node_(node), kernel_(reference::Table::standard().find(node)) {
    if (kernel_ == nullptr) {
      throw_error(ErrorKind::unsupported, "operator {} has no kernel at opset {}", node.op, node.opset);
    }
    for (const ValueId id : node.outputs) types_.push_back(id == kNoValue ? Type{} : graph.value(id).type);
    for (const Type& type : types_) open_ = open_ || !type.is_concrete();
    for (const ValueId id : node.outputs) open_ = open_ || id == kNoValue;
  }

  void run(const StepArguments& arguments) const override {
    StepContext context(node_, arguments, open_ ? infer(arguments) : types_);
    kernel_(context);
  }

 private:
  std::vector<Type> infer(const StepArguments& arguments) const {
    std::vector<Type> operands;
    std::vector<const Tensor*> constants;
    for (const int slot : arguments.inputs) {
      const Value* value = slot < 0 ? nullptr : &arguments.values[static_cast<std::size_t>(slot)];
      operands.push_back(value == nullptr ? Type{} : Type::of(*value));
      constants.push_back(value != nullptr && value->is_tensor() && !value->absent() ? &value->tensor : nullptr);
    }
    const std::size_t count = node_.inputs.size();
    return infer_node(node_, std::span(operands).first(count), std::span<const Tensor* const>(constants).first(count),
                      std::span(operands).subspan(count));
  }

  Node node_;
  reference::Kernel kernel_;
  std::vector<Type> types_;
  bool open_ = false;
};

}  // namespace

std::unique_ptr<Step> make_reference_step(const Graph& graph, const Node& node) {
  return std::make_unique<ReferenceStep>(graph, node);
}

}  // namespace sparse_run::cpu
