// Reading which function an operator applies to each element.
#include "gpu/cuda/steps/activation.hpp"

#include <array>
#include <limits>
#include <string_view>

#include "graph/ops/fused_activation.hpp"

namespace sparse_run::gpu::cuda {

namespace {

struct PlainUnary {
  std::string_view op;
  Unary function;
};

constexpr std::array kPlain = {
    PlainUnary{"Relu", Unary::relu},        PlainUnary{"HardSwish", Unary::hard_swish},
    PlainUnary{"Sigmoid", Unary::sigmoid},  PlainUnary{"Tanh", Unary::tanh},
    PlainUnary{"Mish", Unary::mish},        PlainUnary{"Softplus", Unary::softplus},
    PlainUnary{"Neg", Unary::negate},       PlainUnary{"Abs", Unary::absolute},
    PlainUnary{"Sqrt", Unary::square_root}, PlainUnary{"Exp", Unary::exponential},
    PlainUnary{"Log", Unary::logarithm},    PlainUnary{"Reciprocal", Unary::reciprocal},
    PlainUnary{"Floor", Unary::floor},      PlainUnary{"Ceil", Unary::ceil},
    PlainUnary{"Round", Unary::round},      PlainUnary{"Erf", Unary::error_function},
    PlainUnary{"Sin", Unary::sine},         PlainUnary{"Cos", Unary::cosine},
    PlainUnary{"Sign", Unary::sign},
};

struct PlainBinary {
  std::string_view op;
  Binary function;
};

constexpr std::array kBinary = {
    PlainBinary{"Add", Binary::add},    PlainBinary{"Sub", Binary::subtract}, PlainBinary{"Mul", Binary::multiply},
    PlainBinary{"Div", Binary::divide}, PlainBinary{"Min", Binary::minimum},  PlainBinary{"Max", Binary::maximum},
    PlainBinary{"Pow", Binary::power},
};

/// A bound of Clip: the operand, the attribute of older opsets, or none; nullopt when it is known only at run time.
std::optional<float> bound(const NodeView& view, std::size_t operand, std::string_view attribute, float fallback) {
  if (view.node().opset < 11) return view.node().float_or(attribute, fallback);
  if (!view.has(operand)) return fallback;
  const Tensor* constant = view.constant(operand);
  if (constant == nullptr || constant->dtype() != DType::f32 || constant->size() != 1) return std::nullopt;
  return constant->data<float>()[0];
}

}  // namespace

UnaryCall fused_activation(const Node& node) {
  using Kind = FusedActivation::Kind;
  if (node.domain != kInternalDomain) return {};
  const FusedActivation activation = FusedActivation::of(node);
  const auto with = [&](Unary function) { return UnaryCall{function, activation.a, activation.b}; };
  switch (activation.kind) {
    case Kind::none:
      return {};
    case Kind::relu:
      return with(Unary::relu);
    case Kind::leaky_relu:
      return with(Unary::leaky_relu);
    case Kind::clip:
      return with(Unary::clip);
    case Kind::hard_swish:
      return with(Unary::hard_swish);
    case Kind::hard_sigmoid:
      return with(Unary::hard_sigmoid);
    case Kind::sigmoid:
      return with(Unary::sigmoid);
    case Kind::silu:
      return with(Unary::silu);
    case Kind::gelu:
      return with(Unary::gelu);
    case Kind::gelu_tanh:
      return with(Unary::gelu_tanh);
    case Kind::tanh:
      return with(Unary::tanh);
    case Kind::elu:
      return with(Unary::elu);
    case Kind::mish:
      return with(Unary::mish);
    case Kind::softplus:
      return with(Unary::softplus);
  }
  return {};
}

std::optional<UnaryCall> unary_call(const NodeView& view) {
  const Node& node = view.node();
  if (!node.domain.empty()) return std::nullopt;
  for (const PlainUnary& entry : kPlain) {
    if (entry.op == node.op) return UnaryCall{entry.function, 0, 0};
  }
  if (node.op == "LeakyRelu") return UnaryCall{Unary::leaky_relu, node.float_or("alpha", 0.01f), 0};
  if (node.op == "Elu") return UnaryCall{Unary::elu, node.float_or("alpha", 1), 0};
  if (node.op == "HardSigmoid") {
    return UnaryCall{Unary::hard_sigmoid, node.float_or("alpha", 0.2f), node.float_or("beta", 0.5f)};
  }
  if (node.op == "Gelu") {
    return UnaryCall{node.string_or("approximate", "none") == "tanh" ? Unary::gelu_tanh : Unary::gelu, 0, 0};
  }
  if (node.op == "Swish" && node.float_or("alpha", 1) == 1) return UnaryCall{Unary::silu, 0, 0};
  if (node.op == "Clip") {
    const float infinity = std::numeric_limits<float>::infinity();
    const auto low = bound(view, 1, "min", -infinity);
    const auto high = bound(view, 2, "max", infinity);
    if (low && high && *low <= *high) return UnaryCall{Unary::clip, *low, *high};
  }
  return std::nullopt;
}

std::optional<Binary> binary_call(const NodeView& view) {
  const Node& node = view.node();
  if (!node.domain.empty() || view.inputs() != 2 || node.has("broadcast")) return std::nullopt;
  for (const PlainBinary& entry : kBinary) {
    if (entry.op == node.op) return entry.function;
  }
  return std::nullopt;
}

}  // namespace sparse_run::gpu::cuda
