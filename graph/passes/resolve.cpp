// Emits a resolved copy of a graph, node by node.
#include "graph/passes/resolve.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "graph/ops/geometry.hpp"
#include "graph/ops/infer.hpp"
#include "graph/passes/no_op.hpp"

namespace sparse_run {

namespace {

constexpr int kMaxInlineDepth = 64;

/// Operators whose work grows faster than their operands.
constexpr std::array kHeavy = {"MatMul", "Gemm",        "MatMulInteger", "QLinearMatMul",     "Einsum",
                               "Conv",   "ConvInteger", "QLinearConv",   "ConvTranspose",     "DeformConv",
                               "LSTM",   "GRU",         "RNN",           "Attention",         "Det",
                               "DFT",    "STFT",        "Resize",        "NonMaxSuppression", "GridSample",
                               "LpPool", "AveragePool", "MaxPool",       "RoiAlign"};

std::size_t bytes_of(const Type& type) {
  return static_cast<std::size_t>(element_count(*type.shape)) * std::max<std::size_t>(element_size(type.dtype), 1);
}

bool has_body(const Node& node) {
  return std::ranges::any_of(node.attributes,
                             [](const auto& entry) { return std::holds_alternative<GraphPtr>(entry.second); });
}

class Resolver {
 public:
  Resolver(Evaluator& evaluator, const ResolveOptions& options) : evaluator_(evaluator), options_(options) {}

  Graph run(const Graph& graph, std::span<const Type> inputs, std::span<const Type> captures);

 private:
  using Renaming = std::vector<ValueId>;  ///< old value → new value

  void emit_nodes(const Graph& graph, Renaming& renamed, const std::string& prefix, int depth);
  void emit(const Graph& graph, const Node& node, Renaming& renamed, const std::string& prefix, int depth);
  bool inline_branch(const Node& node, Renaming& renamed, int depth);
  bool fold(const Node& node, const std::vector<Type>& outputs, Renaming& renamed, const Graph& graph);
  bool affordable(const Node& node, const std::vector<Type>& outputs, std::size_t& bytes) const;
  std::optional<std::vector<Value>> evaluate(const Node& node);
  std::optional<Tensor> shape_answer(const Node& node) const;
  void add_constants(const Graph& graph, Renaming& renamed);

  Evaluator& evaluator_;
  const ResolveOptions& options_;
  GraphBuilder builder_;
  std::size_t folded_bytes_ = 0;
  // Scratch, parallel to the inputs and captures of the node in hand.
  std::vector<ValueId> operands_;
  std::vector<ValueId> captured_;
  std::vector<Type> types_;
  std::vector<const Tensor*> constants_;
  std::vector<Type> capture_types_;
};

void Resolver::add_constants(const Graph& graph, Renaming& renamed) {
  for (ValueId id = 0; id < graph.values().size(); ++id) {
    const ValueDef& def = graph.value(id);
    if (def.constant) renamed[id] = builder_.add_constant(def.name, *def.constant);
  }
}

void Resolver::emit_nodes(const Graph& graph, Renaming& renamed, const std::string& prefix, int depth) {
  for (const Node& node : graph.nodes()) emit(graph, node, renamed, prefix, depth);
}

void Resolver::emit(const Graph& graph, const Node& old, Renaming& renamed, const std::string& prefix, int depth) {
  Node node = old;
  if (!prefix.empty()) node.name = prefix + node.name;
  for (ValueId& id : node.inputs) id = id == kNoValue ? kNoValue : renamed[id];
  for (ValueId& id : node.captures) id = renamed[id];
  if (inline_branch(node, renamed, depth)) return;

  types_.clear();
  constants_.clear();
  capture_types_.clear();
  for (const ValueId id : node.inputs) {
    types_.push_back(id == kNoValue ? Type{} : builder_.value(id).type);
    constants_.push_back(id == kNoValue ? nullptr : builder_.value(id).tensor());
  }
  for (const ValueId id : node.captures) capture_types_.push_back(builder_.value(id).type);
  const std::vector<Type> outputs = infer_node(node, types_, constants_, capture_types_);

  if (const auto operand = passed_through(node, types_, constants_, outputs)) {
    renamed[node.outputs[0]] = node.inputs[*operand];
    return;
  }
  if (fold(node, outputs, renamed, graph)) return;

  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    ValueId& id = node.outputs[i];
    if (id == kNoValue) continue;
    const ValueId made = builder_.add_value(prefix + graph.value(id).name, outputs[i]);
    renamed[id] = made;
    id = made;
  }
  builder_.add_node(std::move(node));
}

bool Resolver::inline_branch(const Node& node, Renaming& renamed, int depth) {
  if (!node.is("If") || node.inputs.size() != 1 || node.inputs[0] == kNoValue || depth >= kMaxInlineDepth) return false;
  const Tensor* condition = builder_.value(node.inputs[0]).tensor();
  if (condition == nullptr || condition->dtype() != DType::boolean || condition->size() != 1) return false;
  const char* branch = condition->data<bool>()[0] ? "then_branch" : "else_branch";
  const Graph& body = *node.get<GraphPtr>(branch);
  if (body.outputs().size() != node.outputs.size()) {
    throw_error(ErrorKind::model, "{}: {} has {} outputs, the node {}", node.describe(), branch, body.outputs().size(),
                node.outputs.size());
  }
  Renaming inner(body.values().size(), kNoValue);
  const auto outer = captures_of(node, branch);
  for (std::size_t i = 0; i < outer.size(); ++i) inner[body.captures()[i]] = outer[i];
  add_constants(body, inner);
  with_context([&] { return fmt::format("{} of {}", branch, node.describe()); },
               [&] { emit_nodes(body, inner, node.name + "/", depth + 1); });
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue) renamed[node.outputs[i]] = inner[body.outputs()[i]];
  }
  return true;
}

std::optional<Tensor> Resolver::shape_answer(const Node& node) const {
  const bool is_shape = node.is("Shape");
  if ((!is_shape && !node.is("Size")) || node.inputs.size() != 1 || node.inputs[0] == kNoValue) return std::nullopt;
  const Type& type = types_[0];
  if (type.kind != ValueKind::tensor || !type.shape) return std::nullopt;
  const Shape& shape = *type.shape;
  if (!is_shape) return is_concrete(shape) ? std::optional(Tensor::scalar(element_count(shape))) : std::nullopt;
  const auto [start, end] = shape_bounds(node, shape.size());
  const Shape dims(shape.begin() + start, shape.begin() + end);
  if (!is_concrete(dims)) return std::nullopt;
  return Tensor::of<std::int64_t>({static_cast<std::int64_t>(dims.size())}, dims);
}

bool Resolver::affordable(const Node& node, const std::vector<Type>& outputs, std::size_t& bytes) const {
  std::size_t operand_bytes = 0;
  std::int64_t operand_elements = 0;
  for (const Tensor* tensor : constants_) {
    if (tensor == nullptr) continue;
    operand_bytes += tensor->bytes();
    operand_elements += tensor->size();
  }
  const bool heavy = std::ranges::find(kHeavy, node.op) != kHeavy.end();
  if (heavy && operand_elements > options_.heavy_limit_elements) return false;
  bytes = 0;
  bool open = false;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue) continue;
    if (!outputs[i].is_concrete()) {
      open = true;
    } else {
      bytes += bytes_of(outputs[i]);
    }
  }
  if (open) {  // the result's size depends on values: the operands bound it, if they are few
    bytes += operand_bytes;
    if (operand_elements > options_.heavy_limit_elements) return false;
  }
  if (heavy && bytes > options_.growth_limit_bytes) return false;
  const bool grows = bytes > options_.growth_limit_bytes && bytes / 2 > operand_bytes;
  if (grows && !node.is("DequantizeLinear")) return false;
  return folded_bytes_ + bytes <= options_.total_limit_bytes;
}

std::optional<std::vector<Value>> Resolver::evaluate(const Node& node) {
  std::vector<Value> inputs;
  for (const Tensor* tensor : constants_) inputs.push_back(tensor != nullptr ? Value(*tensor) : Value());
  try {
    return evaluator_.evaluate(node, inputs, {});
  } catch (const Error& error) {
    // No kernel to fold it with does not mean that no device can run it.
    if (error.kind() == ErrorKind::unsupported) return std::nullopt;
    throw;
  }
}

bool Resolver::fold(const Node& node, const std::vector<Type>& outputs, Renaming& renamed, const Graph& graph) {
  const auto define = [&](std::size_t i, Constant constant) {
    renamed[node.outputs[i]] = builder_.add_constant(graph.value(node.outputs[i]).name, std::move(constant));
  };
  if (auto answer = shape_answer(node)) {
    define(0, std::move(*answer));
    return true;
  }
  if (node.is("Constant") && node.outputs.size() == 1 && node.outputs[0] != kNoValue) {
    if (const auto* tensor = node.find<Tensor>("value")) return define(0, *tensor), true;
    if (const auto* sparse = node.find<SparseTensor>("sparse_value")) return define(0, *sparse), true;
  }
  if (has_body(node) || node.is("Dropout")) return false;
  if (node.is("DequantizeLinear") && !options_.fold_dequantize) return false;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i] != kNoValue && constants_[i] == nullptr) return false;
  }
  const OpSchema* schema = OpRegistry::standard().find(node);
  if (schema == nullptr || !schema->deterministic) return false;
  std::size_t bytes = 0;
  if (!affordable(node, outputs, bytes)) return false;
  auto values = evaluate(node);
  if (!values) return false;
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue && (!(*values)[i].is_tensor() || (*values)[i].absent())) return false;
  }
  folded_bytes_ += bytes;
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue) define(i, std::move((*values)[i].tensor));
  }
  return true;
}

Graph Resolver::run(const Graph& graph, std::span<const Type> inputs, std::span<const Type> captures) {
  if (inputs.size() != graph.inputs().size()) {
    throw_error(ErrorKind::model, "graph '{}' takes {} inputs, {} are given", graph.name(), graph.inputs().size(),
                inputs.size());
  }
  require(captures.empty() || captures.size() == graph.captures().size(), "capture count differs from the body's");
  builder_.set_name(graph.name());
  Renaming renamed(graph.values().size(), kNoValue);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ValueDef& def = graph.value(graph.inputs()[i]);
    Type type =
        with_context([&] { return fmt::format("input '{}'", def.name); }, [&] { return input_type(def.type, inputs[i]); });
    renamed[graph.inputs()[i]] = builder_.add_input(def.name, std::move(type), def.symbols);
  }
  for (std::size_t i = 0; i < graph.captures().size(); ++i) {
    const ValueDef& def = graph.value(graph.captures()[i]);
    renamed[graph.captures()[i]] = builder_.add_capture(def.name, captures.empty() ? def.type : captures[i]);
  }
  add_constants(graph, renamed);

  // A computed output keeps its public name: a placeholder holds the name until the value is known.
  Renaming placeholder(graph.values().size(), kNoValue);
  for (const ValueId id : graph.outputs()) {
    if (renamed[id] != kNoValue || placeholder[id] != kNoValue) continue;
    placeholder[id] = builder_.add_value(graph.value(id).name);
    builder_.value(placeholder[id]).symbols = graph.value(id).symbols;
  }
  for (const ValueId id : graph.outputs())
    builder_.add_output(placeholder[id] != kNoValue ? placeholder[id] : renamed[id]);

  emit_nodes(graph, renamed, "", 0);

  for (ValueId id = 0; id < placeholder.size(); ++id) {
    if (placeholder[id] == kNoValue) continue;
    builder_.value(placeholder[id]).type = builder_.value(renamed[id]).type;
    builder_.replace_uses(placeholder[id], renamed[id]);
  }
  return std::move(builder_).build();
}

}  // namespace

Graph resolve(const Graph& graph, std::span<const Type> inputs, Evaluator& evaluator, const ResolveOptions& options,
              std::span<const Type> captures) {
  return Resolver(evaluator, options).run(graph, inputs, captures);
}

Graph fold_constants(const Graph& graph, Evaluator& evaluator, const ResolveOptions& options) {
  std::vector<Type> declared;
  for (const ValueId id : graph.inputs()) declared.push_back(graph.value(id).type);
  return resolve(graph, declared, evaluator, options);
}

}  // namespace sparse_run
