// Keeps activations channel by channel between products with sparse weights, so that tokens are the lanes of a vector.
//
// Sparse kernels compute W · X with the tokens of X side by side. In a model tokens are rows, so every product would
// transpose its operand and its result. Here chains of such products, and what lies between them, are rewritten to work
// on [1, channels, tokens]; what enters or leaves a chain is transposed once.
#include <algorithm>
#include <map>

#include "graph/onnx/file_pages.hpp"
#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"
#include "graph/passes/sparsity.hpp"

namespace sparse_run {

namespace {

constexpr std::int64_t kFewestTokens = 12;  // fewer leave most lanes of a vector empty
constexpr double kSparseFrom = 0.70;        // share of zeros from which products are worth it

enum class Kind { other, product, norm, attention, elementwise, regroup };

/// f32, concrete, not empty and of rank 2 or more.
bool is_activation(const GraphBuilder& graph, ValueId id) {
  if (id == kNoValue || graph.value(id).constant) return false;
  const Type& type = type_of(graph, id);
  return type.dtype == DType::f32 && type.is_concrete() && type.shape->size() >= 2 && element_count(*type.shape) > 0;
}

std::int64_t channels_of(const GraphBuilder& graph, ValueId id) { return type_of(graph, id).shape->back(); }
std::int64_t tokens_of(const GraphBuilder& graph, ValueId id) {
  return element_count(*type_of(graph, id).shape) / channels_of(graph, id);
}

bool holds_operand(const Node& node, std::size_t i) { return i < node.inputs.size() && node.inputs[i] != kNoValue; }

double share_of_zeros(const GraphBuilder& graph, ValueId id) {
  const ValueDef& value = graph.value(id);
  if (const SparseTensor* sparse = value.sparse()) return sparsity_of(*sparse).share();
  const Tensor* dense = value.tensor();
  if (dense == nullptr || dense->dtype() != DType::f32 || dense->size() == 0) return 0;
  const auto values = dense->data<float>();
  const auto zeros = static_cast<double>(std::ranges::count(values, 0.0f));
  onnx::discard_file_pages(std::as_bytes(values));
  return zeros / static_cast<double>(values.size());
}

bool is_product(const GraphBuilder& graph, const Node& node) {
  const bool fused = node.is("FusedMatMul", kInternalDomain);
  if (!fused && !node.is("MatMul") && !node.is("Gemm")) return false;
  const ValueId x = node.inputs[0], w = node.inputs[1], y = node.outputs[0];
  if (!is_activation(graph, x) || !is_activation(graph, y) || tokens_of(graph, x) < kFewestTokens) return false;
  const Type& weights = type_of(graph, w);
  if (!graph.value(w).constant || weights.dtype != DType::f32 || weights.shape->size() != 2) return false;
  if (node.int_or("transA", 0) != 0 || node.float_or("alpha", 1) != 1 || node.float_or("beta", 1) != 1) return false;
  if (holds_operand(node, 2)) {
    const Type& bias = type_of(graph, node.inputs[2]);
    const bool one_per_channel = constant_of(graph, node.inputs[2]) != nullptr && bias.dtype == DType::f32 &&
                                 bias.shape->size() <= 2 && !bias.shape->empty() &&
                                 bias.shape->back() == channels_of(graph, y) &&
                                 element_count(*bias.shape) == channels_of(graph, y);
    if (!one_per_channel) return false;
  }
  if (holds_operand(node, 3) && !is_activation(graph, node.inputs[3])) return false;
  return share_of_zeros(graph, w) >= kSparseFrom;
}

bool is_norm(const GraphBuilder& graph, const Node& node) {
  if (!node.is("LayerNormalization") || !is_activation(graph, node.inputs[0])) return false;
  for (std::size_t i = 1; i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue) return false;
  }
  const auto rank = static_cast<std::int64_t>(type_of(graph, node.inputs[0]).shape->size());
  const std::int64_t axis = node.int_or("axis", -1);
  if (axis != -1 && axis != rank - 1) return false;
  for (std::size_t i = 1; i < 3; ++i) {
    if (!holds_operand(node, i)) continue;
    const Type& type = type_of(graph, node.inputs[i]);
    if (type.dtype != DType::f32 || !type.is_concrete() || *type.shape != Shape{channels_of(graph, node.inputs[0])}) {
      return false;
    }
  }
  return true;
}

bool is_attention(const GraphBuilder& graph, const Node& node) {
  if (!node.is("MultiHeadAttention", kInternalDomain)) return false;
  for (std::size_t i = 0; i < 3; ++i) {
    if (!is_activation(graph, node.inputs[i])) return false;
  }
  return !holds_operand(node, 3) ||
         (type_of(graph, node.inputs[3]).is_concrete() && type_of(graph, node.inputs[3]).dtype == DType::f32);
}

/// Functions of single elements: of one activation, or of two of one shape.
bool is_elementwise(const GraphBuilder& graph, const Node& node) {
  static constexpr std::string_view kUnary[] = {"Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish", "Swish",
                                                "Gelu", "Erf",       "Neg",     "Abs",  "Exp",       "Sqrt"};
  static constexpr std::string_view kBinary[] = {"Add", "Sub", "Mul", "Div"};
  if (!node.domain.empty()) return false;
  const bool unary = std::ranges::count(kUnary, node.op) != 0;
  if (!unary && std::ranges::count(kBinary, node.op) == 0) return false;
  for (const ValueId id : node.inputs) {
    if (!is_activation(graph, id) || type_of(graph, id).shape != type_of(graph, node.outputs[0]).shape) return false;
  }
  return node.inputs.size() == (unary ? 1u : 2u);
}

/// A reshape that leaves channels together.
bool is_regroup(const GraphBuilder& graph, const Node& node) {
  if (!node.is("Reshape") && !node.is("Squeeze") && !node.is("Unsqueeze") && !node.is("Flatten")) return false;
  return is_activation(graph, node.inputs[0]) && is_activation(graph, node.outputs[0]) &&
         channels_of(graph, node.inputs[0]) == channels_of(graph, node.outputs[0]);
}

Kind kind_of(const GraphBuilder& graph, const Node& node) {
  if (node.outputs.empty() || node.outputs[0] == kNoValue || node.inputs.empty()) return Kind::other;
  if (is_product(graph, node)) return Kind::product;
  if (is_norm(graph, node)) return Kind::norm;
  if (is_attention(graph, node)) return Kind::attention;
  if (is_elementwise(graph, node)) return Kind::elementwise;
  if (is_regroup(graph, node)) return Kind::regroup;
  return Kind::other;
}

/// Operands that are activations and will be read channel by channel.
std::vector<ValueId> data_operands(Kind kind, const Node& node) {
  switch (kind) {
    case Kind::product: {
      std::vector<ValueId> data{node.inputs[0]};
      if (holds_operand(node, 3)) data.push_back(node.inputs[3]);
      return data;
    }
    case Kind::norm:
    case Kind::regroup:
      return {node.inputs[0]};
    case Kind::attention:
      return {node.inputs.begin(), node.inputs.begin() + 3};
    case Kind::elementwise:
      return node.inputs;
    case Kind::other:
      return {};
  }
  return {};
}

/// One run of the pass: which nodes are rewritten, and the values [1, channels, tokens] made so far.
class Rewriter {
 public:
  explicit Rewriter(GraphBuilder& graph) : graph_(graph), nodes_(static_cast<NodeId>(graph.node_count())) {}

  std::size_t run() {
    choose();
    std::size_t rewrites = 0;
    for (NodeId id = 0; id < nodes_; ++id) {
      if (!chosen_[id]) continue;
      rewrite(id);
      ++rewrites;
    }
    return rewrites;
  }

 private:
  /// Nodes on a way from one sparse product to another, and the products at its ends.
  void choose() {
    kinds_.assign(nodes_, Kind::other);
    after_.assign(nodes_, false);
    before_.assign(nodes_, false);
    chosen_.assign(nodes_, false);
    for (NodeId id = 0; id < nodes_; ++id) {
      if (graph_.removed(id)) continue;
      const Node& node = std::as_const(graph_).node(id);
      kinds_[id] = kind_of(graph_, node);
      after_[id] = kinds_[id] == Kind::product || comes_after(kinds_[id], node);
    }
    for (NodeId id = nodes_; id-- > 0;) {
      if (kinds_[id] != Kind::other) before_[id] = kinds_[id] == Kind::product || leads_on(id);
    }
    for (NodeId id = 0; id < nodes_; ++id) {
      if (kinds_[id] == Kind::other) continue;
      const Node& node = std::as_const(graph_).node(id);
      chosen_[id] =
          kinds_[id] == Kind::product ? comes_after(Kind::product, node) || leads_on(id) : after_[id] && before_[id];
    }
  }

  bool comes_after(Kind kind, const Node& node) const {
    const auto follows = [&](ValueId value) {
      const auto producer = graph_.producer(value);
      return producer && *producer < nodes_ && after_[*producer] &&
             std::as_const(graph_).node(*producer).outputs[0] == value;
    };
    const std::vector<ValueId> data = data_operands(kind, node);
    // Attention reads three operands as often as it computes: all of them or none.
    return kind == Kind::attention ? std::ranges::all_of(data, follows) : std::ranges::any_of(data, follows);
  }

  bool leads_on(NodeId id) const {
    const ValueId value = std::as_const(graph_).node(id).outputs[0];
    return std::ranges::any_of(graph_.consumers(value), [&](NodeId reader) {
      if (reader >= nodes_ || !before_[reader] || (kinds_[reader] != Kind::product && !after_[reader])) return false;
      const auto data = data_operands(kinds_[reader], std::as_const(graph_).node(reader));
      return std::ranges::find(data, value) != data.end();
    });
  }

  void rewrite(NodeId id) {
    const Node node = std::as_const(graph_).node(id);
    const ValueId result = node.outputs[0];
    const ValueId lanes = graph_.add_value("", lanes_type(result));
    Node made = node;
    made.outputs = {lanes};
    switch (kinds_[id]) {
      case Kind::product:
        made.op = "FusedMatMul";
        made.domain = kInternalDomain;
        made.opset = 1;
        made.attributes.erase("transB");
        made.attributes.erase("alpha");
        made.attributes.erase("beta");
        if (node.int_or("transB", 0) == 0) made.attributes["transA"] = std::int64_t{1};
        made.inputs = {node.inputs[1], in_lanes(node.inputs[0])};
        if (holds_operand(node, 2) || holds_operand(node, 3)) {
          made.inputs.push_back(holds_operand(node, 2) ? bias_column(node.inputs[2]) : kNoValue);
        }
        if (holds_operand(node, 3)) made.inputs.push_back(in_lanes(node.inputs[3]));
        break;
      case Kind::norm:
        made.op = "ChannelNormalization";
        made.domain = kInternalDomain;
        made.opset = 1;
        made.attributes = {{"epsilon", node.float_or("epsilon", 1e-5f)}};
        made.inputs[0] = in_lanes(node.inputs[0]);
        break;
      case Kind::attention:
        made.op = "ChannelAttention";
        made.attributes["batch"] = type_of(graph_, node.inputs[0]).shape->front();
        for (std::size_t i = 0; i < 3; ++i) made.inputs[i] = in_lanes(node.inputs[i]);
        break;
      case Kind::elementwise:
        for (ValueId& input : made.inputs) input = in_lanes(input);
        break;
      case Kind::regroup:
        made = Node{};
        break;
      case Kind::other:
        return;
    }
    graph_.remove_node(id);
    if (kinds_[id] == Kind::regroup) {
      lanes_of_[result] = in_lanes(node.inputs[0]);
    } else {
      graph_.add_node(std::move(made));
      lanes_of_[result] = lanes;
    }
    back_to_tokens(result, node.name);
  }

  Type lanes_type(ValueId id) const {
    return Type::tensor(DType::f32, Shape{1, channels_of(graph_, id), tokens_of(graph_, id)});
  }

  /// The value as [1, channels, tokens].
  ValueId in_lanes(ValueId id) {
    const auto known = lanes_of_.find(id);
    if (known != lanes_of_.end()) return known->second;
    const Shape rows{1, tokens_of(graph_, id), channels_of(graph_, id)};
    const std::string name = graph_.value(id).name;
    ValueId source = id;
    if (*type_of(graph_, id).shape != rows) {
      source = graph_.add_value("", Type::tensor(DType::f32, rows));
      add_reshape(name + "_rows", id, source, rows);
    }
    const ValueId lanes = graph_.add_value("", lanes_type(id));
    add_transpose(name + "_lanes", source, lanes);
    return lanes_of_[id] = lanes;
  }

  /// Computes the value as it was, for readers that are not rewritten; dropped when there are none.
  void back_to_tokens(ValueId id, const std::string& name) {
    const Shape rows{1, tokens_of(graph_, id), channels_of(graph_, id)};
    const Shape wanted = *type_of(graph_, id).shape;
    if (wanted == rows) return add_transpose(name + "_tokens", lanes_of_[id], id);
    const ValueId flat = graph_.add_value("", Type::tensor(DType::f32, rows));
    add_transpose(name + "_tokens", lanes_of_[id], flat);
    add_reshape(name + "_rows", flat, id, wanted);
  }

  void add_transpose(std::string name, ValueId from, ValueId to) {
    Node node;
    node.name = std::move(name);
    node.op = "Transpose";
    node.opset = 13;
    node.attributes["perm"] = std::vector<std::int64_t>{0, 2, 1};
    node.inputs = {from};
    node.outputs = {to};
    graph_.add_node(std::move(node));
  }

  void add_reshape(std::string name, ValueId from, ValueId to, const Shape& shape) {
    Node node;
    node.name = std::move(name);
    node.op = "Reshape";
    node.opset = 13;
    node.inputs = {from, graph_.add_constant("", Tensor::of<std::int64_t>({static_cast<std::int64_t>(shape.size())},
                                                                          std::span<const std::int64_t>(shape)))};
    node.outputs = {to};
    graph_.add_node(std::move(node));
  }

  /// One value per row of the result.
  ValueId bias_column(ValueId bias) {
    const Tensor column = constant_of(graph_, bias)->reshaped({constant_of(graph_, bias)->size(), 1});
    return graph_.add_constant(graph_.value(bias).name, column);
  }

  GraphBuilder& graph_;
  const NodeId nodes_;  ///< those before the pass
  std::vector<Kind> kinds_;
  std::vector<bool> after_, before_, chosen_;
  std::map<ValueId, ValueId> lanes_of_;
};

class TokensAsLanes final : public Pass {
 public:
  std::string_view name() const noexcept override { return "tokens-as-lanes"; }
  std::string_view purpose() const noexcept override {
    return "keeps activations channel by channel between products with sparse weights, which spares transposing them";
  }
  std::size_t run(GraphBuilder& graph) const override { return Rewriter(graph).run(); }
};

}  // namespace

std::unique_ptr<Pass> make_tokens_as_lanes() { return std::make_unique<TokensAsLanes>(); }

}  // namespace sparse_run
