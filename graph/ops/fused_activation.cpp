// Names, parameters and definitions of fused activations.
#include "graph/ops/fused_activation.hpp"

#include <array>
#include <cmath>
#include <numbers>

namespace sparse_run {

namespace {

using Kind = FusedActivation::Kind;

struct Entry {
  std::string_view name;
  Kind kind;
  std::size_t parameters;
};

constexpr std::array kEntries = {
    Entry{"", Kind::none, 0},
    Entry{"Relu", Kind::relu, 0},
    Entry{"LeakyRelu", Kind::leaky_relu, 1},
    Entry{"Clip", Kind::clip, 2},
    Entry{"HardSwish", Kind::hard_swish, 0},
    Entry{"HardSigmoid", Kind::hard_sigmoid, 2},
    Entry{"Sigmoid", Kind::sigmoid, 0},
    Entry{"Silu", Kind::silu, 0},
    Entry{"Gelu", Kind::gelu, 0},
    Entry{"GeluTanh", Kind::gelu_tanh, 0},
    Entry{"Tanh", Kind::tanh, 0},
    Entry{"Elu", Kind::elu, 1},
    Entry{"Mish", Kind::mish, 0},
    Entry{"Softplus", Kind::softplus, 0},
};

const Entry& entry_of(Kind kind) { return kEntries[static_cast<std::size_t>(kind)]; }

double clamp(double x, double low, double high) { return x < low ? low : (x > high ? high : x); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return x > 30 ? x : std::log1p(std::exp(x)); }

}  // namespace

FusedActivation FusedActivation::of(const Node& node) {
  const std::string name = node.string_or("activation", "");
  const std::vector<float> parameters = node.floats_or("activation_parameters");
  for (const Entry& entry : kEntries) {
    if (entry.name != name) continue;
    if (parameters.size() != entry.parameters) {
      throw_error(ErrorKind::model, "activation {} takes {} parameters, {} are given", name, entry.parameters,
                  parameters.size());
    }
    FusedActivation activation;
    activation.kind = entry.kind;
    if (!parameters.empty()) activation.a = parameters[0];
    if (parameters.size() > 1) activation.b = parameters[1];
    return activation;
  }
  throw_error(ErrorKind::model, "unknown activation '{}'", name);
}

double FusedActivation::apply(double x) const {
  switch (kind) {
    case Kind::none:
      return x;
    case Kind::relu:
      return x < 0 ? 0 : x;
    case Kind::leaky_relu:
      return x < 0 ? a * x : x;
    case Kind::clip:
      return clamp(x, a, b);
    case Kind::hard_swish:
      return x * clamp(x / 6 + 0.5, 0, 1);
    case Kind::hard_sigmoid:
      return clamp(a * x + b, 0, 1);
    case Kind::sigmoid:
      return sigmoid(x);
    case Kind::silu:
      return x * sigmoid(x);
    case Kind::gelu:
      return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
    case Kind::gelu_tanh: {
      const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
      return 0.5 * x * (1 + std::tanh(inner));
    }
    case Kind::tanh:
      return std::tanh(x);
    case Kind::elu:
      return x < 0 ? a * std::expm1(x) : x;
    case Kind::mish:
      return x * std::tanh(softplus(x));
    case Kind::softplus:
      return softplus(x);
  }
  return x;
}

std::string_view FusedActivation::name() const { return entry_of(kind).name; }

std::vector<float> FusedActivation::parameters() const {
  std::vector<float> values{a, b};
  values.resize(entry_of(kind).parameters);
  return values;
}

void FusedActivation::store(Node& node) const {
  node.attributes["activation"] = std::string(name());
  node.attributes["activation_parameters"] = parameters();
}

}  // namespace sparse_run
