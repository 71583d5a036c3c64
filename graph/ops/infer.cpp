// Type inference of nodes, bodies and graphs.
#include "graph/ops/infer.hpp"

#include <algorithm>
#include <array>

namespace sparse_run {

namespace {

const OpSchema& schema_of(const Node& node) {
  const OpSchema* schema = OpRegistry::standard().find(node);
  if (schema == nullptr) {
    throw_error(ErrorKind::unsupported, "operator {}{}{} is not supported at opset {}", node.domain,
                node.domain.empty() ? "" : ".", node.op, node.opset);
  }
  const auto inputs = static_cast<int>(node.inputs.size());
  const auto outputs = static_cast<int>(node.outputs.size());
  if (inputs < schema->min_inputs || inputs > schema->max_inputs) {
    throw_error(ErrorKind::model, "{} inputs given, the operator takes {} to {}", inputs, schema->min_inputs,
                schema->max_inputs);
  }
  if (outputs < schema->min_outputs || outputs > schema->max_outputs) {
    throw_error(ErrorKind::model, "{} outputs named, the operator has {} to {}", outputs, schema->min_outputs,
                schema->max_outputs);
  }
  return *schema;
}

/// Operators that take sequences or optionals; their own inference checks which operand may be what.
constexpr std::array<std::string_view, 12> kTakeComposed = {
    "ConcatFromSequence", "Identity",           "If",         "Loop",          "Optional",
    "OptionalGetElement", "OptionalHasElement", "SequenceAt", "SequenceErase", "SequenceInsert",
    "SequenceLength",     "SequenceMap"};

void expect_tensors(const Node& node, std::span<const Type> inputs) {
  if (node.domain.empty() && std::ranges::find(kTakeComposed, node.op) != kTakeComposed.end()) return;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (node.inputs[i] != kNoValue && inputs[i].kind != ValueKind::tensor) {
      throw_error(ErrorKind::model, "input {} must be a tensor, it is {}", i, to_string(inputs[i]));
    }
  }
}

class NodeContext final : public InferContext {
 public:
  NodeContext(const Node& node, std::span<const Type> inputs, std::span<const Tensor* const> constants,
              std::span<const Type> captures)
      : node_(node), inputs_(inputs), constants_(constants), captures_(captures), outputs_(node.outputs.size()) {}

  const Node& node() const override { return node_; }
  const Type& input(std::size_t i) const override {
    if (!has_input(i)) throw_error(ErrorKind::model, "input {} is required but omitted", i);
    return inputs_[i];
  }
  const Tensor* constant(std::size_t i) const override { return has_input(i) ? constants_[i] : nullptr; }
  void set_output(std::size_t i, Type type) override {
    if (i < outputs_.size()) outputs_[i] = std::move(type);
  }
  std::vector<Type> infer_body(std::string_view attribute, std::span<const Type> inputs) override {
    const Graph& body = *node_.get<GraphPtr>(attribute);
    const auto outer = captures_of(node_, attribute);
    std::vector<Type> captured;
    captured.reserve(outer.size());
    const auto offset = outer.empty() ? 0 : static_cast<std::size_t>(outer.data() - node_.captures.data());
    for (std::size_t i = 0; i < outer.size(); ++i) captured.push_back(captures_[offset + i]);
    const std::vector<Type> types = infer_graph(body, inputs, captured);
    std::vector<Type> results;
    for (const ValueId id : body.outputs()) results.push_back(types[id]);
    return results;
  }
  std::vector<Type> take() { return std::move(outputs_); }

 private:
  const Node& node_;
  std::span<const Type> inputs_;
  std::span<const Tensor* const> constants_;
  std::span<const Type> captures_;
  std::vector<Type> outputs_;
};

}  // namespace

std::vector<Type> infer_node(const Node& node, std::span<const Type> inputs, std::span<const Tensor* const> constants,
                             std::span<const Type> captures) {
  return with_context([&] { return node.describe(); },
                      [&] {
                        const OpSchema& schema = schema_of(node);
                        expect_tensors(node, inputs);
                        NodeContext context(node, inputs, constants, captures);
                        schema.infer(context);
                        return context.take();
                      });
}

void check_operators(const Graph& graph) {
  for (const Node& node : graph.nodes()) {
    with_context([&] { return node.describe(); },
                 [&] {
                   schema_of(node);
                   for (const auto& [name, value] : node.attributes) {
                     if (const auto* body = std::get_if<GraphPtr>(&value)) check_operators(**body);
                   }
                 });
  }
}

Type input_type(const Type& declared, const Type& given) {
  const bool unknown = given.kind == ValueKind::tensor && given.dtype == DType::undefined && !given.shape;
  if (declared.kind != ValueKind::optional || given.kind == ValueKind::optional || unknown) {
    return merge(declared, given);
  }
  return declared.element ? merge(*declared.element, given) : given;
}

std::vector<Type> infer_graph(const Graph& graph, std::span<const Type> inputs, std::span<const Type> captures) {
  std::vector<Type> types(graph.values().size());
  if (inputs.size() != graph.inputs().size()) {
    throw_error(ErrorKind::model, "graph '{}' takes {} inputs, {} are given", graph.name(), graph.inputs().size(),
                inputs.size());
  }
  require(captures.size() == graph.captures().size(), "capture count differs from the body's");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ValueDef& def = graph.value(graph.inputs()[i]);
    types[graph.inputs()[i]] = with_context([&] { return fmt::format("input '{}'", def.name); },
                                            [&] { return input_type(def.type, inputs[i]); });
  }
  for (std::size_t i = 0; i < captures.size(); ++i) types[graph.captures()[i]] = captures[i];
  for (ValueId id = 0; id < types.size(); ++id) {
    if (graph.value(id).constant) types[id] = graph.value(id).type;
  }
  std::vector<Type> operands;
  std::vector<const Tensor*> constants;
  std::vector<Type> captured;
  for (const Node& node : graph.nodes()) {
    operands.clear();
    constants.clear();
    captured.clear();
    for (const ValueId id : node.inputs) {
      operands.push_back(id == kNoValue ? Type{} : types[id]);
      constants.push_back(id == kNoValue ? nullptr : graph.value(id).tensor());
    }
    for (const ValueId id : node.captures) captured.push_back(types[id]);
    std::vector<Type> outputs = infer_node(node, operands, constants, captured);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (node.outputs[i] != kNoValue) types[node.outputs[i]] = std::move(outputs[i]);
    }
  }
  return types;
}

}  // namespace sparse_run
