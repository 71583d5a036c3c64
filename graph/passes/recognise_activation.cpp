// Recognises activations that exporters spelled out with primitives.
//
// Factors of products are collected first, so that the order in which an exporter multiplied does not matter:
// 0.5 · x · (1 + erf(x / √2)), x · 0.5 · (…), x / 2 · (…) all become the constant 0.5 and two factors.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "graph/ops/schema.hpp"
#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

/// A value as constant · factor · factor …
struct Product {
  double constant = 1;
  std::vector<ValueId> factors;
};

constexpr int kMaxFactors = 8;

void collect(const GraphBuilder& graph, const Node& node, Product& product);

/// Goes on into a factor that is itself a product nobody else reads.
void collect_operand(const GraphBuilder& graph, ValueId id, Product& product) {
  const Node* node = read_once(graph, id) ? producer_of(graph, id) : nullptr;
  if (node != nullptr && (node->is("Mul") || node->is("Div")) &&
      static_cast<int>(product.factors.size()) < kMaxFactors) {
    collect(graph, *node, product);
  } else {
    product.factors.push_back(id);
  }
}

void collect(const GraphBuilder& graph, const Node& node, Product& product) {
  if (const auto scaled = scalar_operand(graph, node)) {
    product.constant = node.is("Mul") ? product.constant * scaled->scalar : product.constant / scaled->scalar;
    return collect_operand(graph, scaled->value, product);
  }
  if (node.is("Div")) {
    product.factors.push_back(node.outputs[0]);
    return;
  }
  for (const ValueId id : node.inputs) collect_operand(graph, id, product);
}

Product product_of(const GraphBuilder& graph, const Node& node) {
  Product product;
  collect(graph, node, product);
  return product;
}

/// The value as a product, whether or not it is one.
Product product_of(const GraphBuilder& graph, ValueId id) {
  Product product;
  collect_operand(graph, id, product);
  return product;
}

/// Matches y = other + number, where nobody else reads y.
std::optional<ScaledOperand> sum_with_number(const GraphBuilder& graph, ValueId id) {
  const Node* add = sole_producer_of(graph, id, "Add");
  return add != nullptr ? scalar_operand(graph, *add) : std::nullopt;
}

/// The argument of f in 1 + f(argument), where nobody else reads any of it.
std::optional<ValueId> one_plus(const GraphBuilder& graph, ValueId id, std::string_view op) {
  const auto sum = sum_with_number(graph, id);
  if (!sum || sum->scalar != 1) return std::nullopt;
  const Node* function = sole_producer_of(graph, sum->value, op);
  return function != nullptr ? std::optional(function->inputs[0]) : std::nullopt;
}

/// √(2/π) · (x + 0.044715 x³), or √(2/π) · x · (1 + 0.044715 x²).
bool is_tanh_argument(const GraphBuilder& graph, ValueId argument, ValueId x) {
  const Product outer = product_of(graph, argument);
  if (!nearly(outer.constant, std::sqrt(2 / std::numbers::pi))) return false;
  const auto is_power = [&](const Product& power, std::size_t exponent) {
    if (!nearly(power.constant, 0.044715)) return false;
    if (power.factors.size() == exponent) {
      return std::ranges::all_of(power.factors, [&](ValueId factor) { return factor == x; });
    }
    const Node* pow = power.factors.size() == 1 ? sole_producer_of(graph, power.factors[0], "Pow") : nullptr;
    return pow != nullptr && pow->inputs[0] == x && scalar_of(graph, pow->inputs[1]) == static_cast<double>(exponent);
  };
  if (outer.factors.size() == 1) {
    const Node* add = sole_producer_of(graph, outer.factors[0], "Add");
    const auto cube = add != nullptr ? other_operand(*add, x) : std::nullopt;
    return cube && is_power(product_of(graph, *cube), 3);
  }
  if (outer.factors.size() != 2) return false;
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    const auto sum = outer.factors[i] == x ? sum_with_number(graph, outer.factors[1 - i]) : std::nullopt;
    if (sum && sum->scalar == 1 && is_power(product_of(graph, sum->value), 2)) return true;
  }
  return false;
}

struct Recognised {
  std::string op;
  int opset;
  std::map<std::string, Attribute, std::less<>> attributes;
  ValueId x;
};

/// constant · x · factor for a factor that is a function of x.
std::optional<Recognised> two_factors(const GraphBuilder& graph, double constant, ValueId x, ValueId factor) {
  if (nearly(constant, 0.5)) {
    if (const auto argument = one_plus(graph, factor, "Erf")) {
      const Product scaled = product_of(graph, *argument);
      if (scaled.factors.size() == 1 && scaled.factors[0] == x && nearly(scaled.constant, 1 / std::numbers::sqrt2)) {
        return Recognised{"Gelu", 20, {}, x};
      }
    }
    if (const auto argument = one_plus(graph, factor, "Tanh"); argument && is_tanh_argument(graph, *argument, x)) {
      return Recognised{"Gelu", 20, {{"approximate", std::string("tanh")}}, x};
    }
  }
  if (constant == 1) {
    if (const Node* sigmoid = sole_producer_of(graph, factor, "Sigmoid")) {
      const Product argument = product_of(graph, sigmoid->inputs[0]);
      if (sigmoid->inputs[0] == x) return Recognised{"Swish", 24, {{"alpha", 1.0f}}, x};
      if (argument.factors.size() == 1 && argument.factors[0] == x) {
        return Recognised{"Swish", 24, {{"alpha", static_cast<float>(argument.constant)}}, x};
      }
    }
    if (const Node* gate = sole_producer_of(graph, factor, "HardSigmoid")) {
      if (gate->inputs[0] == x && nearly(static_cast<double>(gate->float_or("alpha", 0.2f)), 1.0 / 6) &&
          gate->float_or("beta", 0.5f) == 0.5f) {
        return Recognised{"HardSwish", 14, {}, x};
      }
    }
    if (const Node* tanh = sole_producer_of(graph, factor, "Tanh")) {
      const Node* softplus = sole_producer_of(graph, tanh->inputs[0], "Softplus");
      if (softplus != nullptr && softplus->inputs[0] == x) return Recognised{"Mish", 18, {}, x};
    }
  }
  return std::nullopt;
}

/// Clip(x + 3, 0, 6): the x.
std::optional<ValueId> relu6_of_shifted(const GraphBuilder& graph, ValueId id) {
  const Node* clip = sole_producer_of(graph, id, "Clip");
  if (clip == nullptr) return std::nullopt;
  const auto bound = [&](std::size_t operand, std::string_view attribute) -> std::optional<double> {
    if (clip->opset < 11)
      return clip->has(attribute) ? std::optional<double>(clip->float_or(attribute, 0)) : std::nullopt;
    return clip->inputs.size() > operand ? scalar_of(graph, clip->inputs[operand]) : std::nullopt;
  };
  if (bound(1, "min") != 0.0 || bound(2, "max") != 6.0) return std::nullopt;
  const auto sum = sum_with_number(graph, clip->inputs[0]);
  return sum && sum->scalar == 3 ? std::optional(sum->value) : std::nullopt;
}

std::optional<Recognised> recognise(const GraphBuilder& graph, const Node& node) {
  const Product product = product_of(graph, node);
  if (product.factors.size() == 1 && nearly(product.constant, 1.0 / 6)) {
    if (const auto x = relu6_of_shifted(graph, product.factors[0])) {
      return Recognised{"HardSigmoid", 6, {{"alpha", 1.0f / 6}, {"beta", 0.5f}}, *x};
    }
  }
  if (product.factors.size() != 2) return std::nullopt;
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    const ValueId x = product.factors[i];
    const ValueId factor = product.factors[1 - i];
    if (auto found = two_factors(graph, product.constant, x, factor)) return found;
    if (nearly(product.constant, 1.0 / 6) && relu6_of_shifted(graph, factor) == x) {
      return Recognised{"HardSwish", 14, {}, x};
    }
  }
  return std::nullopt;
}

class RecogniseActivation final : public Pass {
 public:
  std::string_view name() const noexcept override { return "recognise-activation"; }
  std::string_view purpose() const noexcept override {
    return "recognises Gelu, Swish, HardSwish, HardSigmoid and Mish that were exported as primitives";
  }

  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    // Last nodes first: the whole product is seen before its parts.
    for (NodeId id = static_cast<NodeId>(graph.node_count()); id-- > 0;) {
      const Node& node = std::as_const(graph).node(id);
      if (graph.removed(id) || (!node.is("Mul") && !node.is("Div"))) continue;
      auto found = recognise(graph, node);
      if (!found) continue;
      const Type& input = type_of(graph, found->x);
      const Type& output = type_of(graph, node.outputs[0]);
      if (!is_float(output.dtype) || !input.shape || input.shape != output.shape) continue;
      if (OpRegistry::standard().find("", found->op, found->opset) == nullptr) continue;
      Node& edited = graph.node(id);
      edited.op = std::move(found->op);
      edited.opset = found->opset;
      edited.attributes = std::move(found->attributes);
      edited.inputs = {found->x};
      ++rewrites;
    }
    return rewrites;
  }
};

}  // namespace

std::unique_ptr<Pass> make_recognise_activation() { return std::make_unique<RecogniseActivation>(); }

}  // namespace sparse_run
