// Recognises layer normalisation that exporters spelled out with primitives.
//
// Looked for: d = x − mean(x); d / sqrt(mean(d²) + ε), then optionally · scale, + bias. The square may be Pow(d, 2) or
// d · d; the root may be Sqrt or Pow 0.5 under a division, or Reciprocal(Sqrt) or Pow −0.5 under a product.
#include <algorithm>

#include "graph/ops/schema.hpp"
#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

struct Normalised {
  ValueId x;
  std::vector<std::int64_t> axes;
  double epsilon;
};

/// Mean over axes that are kept, where nobody else reads the mean.
const Node* mean_of(const GraphBuilder& graph, ValueId id) {
  const Node* mean = sole_producer_of(graph, id, "ReduceMean");
  return mean != nullptr && mean->int_or("keepdims", 1) == 1 ? mean : nullptr;
}

/// The axes of a reduction, not negative and sorted; nullopt when they are not the last dimensions.
std::optional<std::vector<std::int64_t>> trailing_axes(const GraphBuilder& graph, const Node& reduction) {
  const auto rank = rank_of(graph, reduction.inputs[0]);
  auto axes = axes_of(graph, reduction);
  if (!rank || !axes || axes->empty()) return std::nullopt;
  for (std::int64_t& axis : *axes) axis = axis < 0 ? axis + static_cast<std::int64_t>(*rank) : axis;
  std::ranges::sort(*axes);
  for (std::size_t i = 0; i < axes->size(); ++i) {
    if ((*axes)[i] != static_cast<std::int64_t>(*rank - axes->size() + i)) return std::nullopt;
  }
  return axes;
}

/// d in Pow(d, 2) or d · d.
std::optional<ValueId> squared(const GraphBuilder& graph, ValueId id) {
  if (const Node* pow = sole_producer_of(graph, id, "Pow")) {
    return scalar_of(graph, pow->inputs[1]) == 2.0 ? std::optional(pow->inputs[0]) : std::nullopt;
  }
  const Node* mul = sole_producer_of(graph, id, "Mul");
  return mul != nullptr && mul->inputs[0] == mul->inputs[1] ? std::optional(mul->inputs[0]) : std::nullopt;
}

/// The argument of a square root (Sqrt or Pow 0.5) nobody else reads.
std::optional<ValueId> root_argument(const GraphBuilder& graph, ValueId id) {
  if (const Node* root = sole_producer_of(graph, id, "Sqrt")) return root->inputs[0];
  const Node* pow = sole_producer_of(graph, id, "Pow");
  return pow != nullptr && scalar_of(graph, pow->inputs[1]) == 0.5 ? std::optional(pow->inputs[0]) : std::nullopt;
}

/// The argument of 1 / sqrt, nobody else reading any of it.
std::optional<ValueId> inverse_root_argument(const GraphBuilder& graph, ValueId id) {
  if (const Node* reciprocal = sole_producer_of(graph, id, "Reciprocal")) {
    return root_argument(graph, reciprocal->inputs[0]);
  }
  if (const Node* pow = sole_producer_of(graph, id, "Pow")) {
    return scalar_of(graph, pow->inputs[1]) == -0.5 ? std::optional(pow->inputs[0]) : std::nullopt;
  }
  const Node* div = sole_producer_of(graph, id, "Div");
  return div != nullptr && scalar_of(graph, div->inputs[0]) == 1.0 ? root_argument(graph, div->inputs[1])
                                                                   : std::nullopt;
}

/// Matches deviation · rsqrt(mean(deviation²) + ε), given both parts.
std::optional<Normalised> normalised(const GraphBuilder& graph, ValueId deviation, ValueId variance_plus) {
  const Node* sum = sole_producer_of(graph, variance_plus, "Add");
  const auto epsilon = sum != nullptr ? scalar_operand(graph, *sum) : std::nullopt;
  if (!epsilon || epsilon->scalar < 0 || epsilon->scalar > 1) return std::nullopt;
  const Node* variance = mean_of(graph, epsilon->value);
  if (variance == nullptr || squared(graph, variance->inputs[0]) != deviation) return std::nullopt;
  const Node* sub = producer_of(graph, deviation, "Sub");
  if (sub == nullptr || graph.is_output(deviation) || graph.consumers(deviation).size() != 2) return std::nullopt;
  const Node* mean = mean_of(graph, sub->inputs[1]);
  if (mean == nullptr || mean->inputs[0] != sub->inputs[0]) return std::nullopt;
  const auto axes = trailing_axes(graph, *mean);
  if (!axes || trailing_axes(graph, *variance) != axes) return std::nullopt;
  return Normalised{sub->inputs[0], *axes, epsilon->scalar};
}

std::optional<Normalised> core(const GraphBuilder& graph, const Node& node) {
  if (node.is("Div")) {
    const auto argument = root_argument(graph, node.inputs[1]);
    return argument ? normalised(graph, node.inputs[0], *argument) : std::nullopt;
  }
  if (!node.is("Mul")) return std::nullopt;
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    const auto argument = inverse_root_argument(graph, node.inputs[1 - i]);
    if (auto found = argument ? normalised(graph, node.inputs[i], *argument) : std::nullopt) return found;
  }
  return std::nullopt;
}

class RecogniseLayerNorm final : public Pass {
 public:
  std::string_view name() const noexcept override { return "recognise-layer-norm"; }
  std::string_view purpose() const noexcept override {
    return "recognises layer normalisation that was exported as primitives";
  }

  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    const std::size_t count = graph.node_count();
    for (NodeId id = 0; id < count; ++id) {
      if (graph.removed(id)) continue;
      const auto found = core(graph, std::as_const(graph).node(id));
      if (found && replace(graph, id, *found)) ++rewrites;
    }
    return rewrites;
  }

 private:
  /// The constant operand of `op` that alone reads `id`, when it has exactly the normalised shape, and the node.
  static std::optional<std::pair<NodeId, ValueId>> affine_step(const GraphBuilder& graph, ValueId id,
                                                               std::string_view op, const Shape& shape) {
    if (!read_once(graph, id)) return std::nullopt;
    const NodeId reader = graph.consumers(id)[0];
    if (!graph.node(reader).is(op)) return std::nullopt;
    const auto other = other_operand(graph.node(reader), id);
    if (!other || type_of(graph, *other).shape != shape) return std::nullopt;
    return std::pair(reader, *other);
  }

  static bool replace(GraphBuilder& graph, NodeId id, const Normalised& found) {
    const Type input = type_of(graph, found.x);
    if (!input.shape || !is_float(input.dtype)) return false;
    const auto first = static_cast<std::size_t>(found.axes.front());
    const Shape shape(input.shape->begin() + static_cast<std::ptrdiff_t>(first), input.shape->end());
    if (!is_concrete(shape)) return false;

    NodeId last = id;
    ValueId result = std::as_const(graph).node(id).outputs[0];
    ValueId scale = kNoValue;
    ValueId bias = kNoValue;
    if (const auto step = affine_step(graph, result, "Mul", shape)) {
      graph.remove_node(last);
      std::tie(last, scale) = *step;
      result = std::as_const(graph).node(last).outputs[0];
    }
    if (const auto step = affine_step(graph, result, "Add", shape)) {
      graph.remove_node(last);
      std::tie(last, bias) = *step;
      result = std::as_const(graph).node(last).outputs[0];
    }
    if (scale == kNoValue) scale = graph.add_constant("", ones(input.dtype, shape));
    Node& node = graph.node(last);
    node.op = "LayerNormalization";
    node.opset = 17;
    node.inputs = {found.x, scale};
    if (bias != kNoValue) node.inputs.push_back(bias);
    node.attributes.clear();
    node.attributes["axis"] = found.axes.front();
    node.attributes["epsilon"] = static_cast<float>(found.epsilon);
    return true;
  }

  static Tensor ones(DType dtype, const Shape& shape) {
    Tensor tensor = Tensor::allocate(dtype, shape);
    visit_float(dtype, [&]<class T>() { std::ranges::fill(tensor.data<T>(), static_cast<T>(1.0f)); });
    return tensor;
  }
};

}  // namespace

std::unique_ptr<Pass> make_recognise_layer_norm() { return std::make_unique<RecogniseLayerNorm>(); }

}  // namespace sparse_run
