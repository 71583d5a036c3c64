// Names of activations as passes write them.
#include "cpu/kernels/fused_activation.hpp"

#include <limits>

namespace sparse_run::cpu {

std::optional<Activation> activation_named(std::string_view name, const std::vector<float>& parameters) {
  const auto parameter = [&](std::size_t i, float fallback) { return i < parameters.size() ? parameters[i] : fallback; };
  constexpr float infinity = std::numeric_limits<float>::infinity();
  if (name.empty()) return Activation::none();
  if (name == "Relu") return Activation::relu();
  if (name == "Clip") return Activation::clip(parameter(0, -infinity), parameter(1, infinity));
  if (name == "LeakyRelu") return Activation::leaky_relu(parameter(0, 0.01f));
  if (name == "HardSwish") return Activation::of(Curve::hard_swish);
  if (name == "Sigmoid") return Activation::of(Curve::sigmoid);
  if (name == "Silu") return Activation::of(Curve::silu);
  if (name == "Gelu") return Activation::of(Curve::gelu);
  if (name == "Tanh") return Activation::of(Curve::tanh);
  return std::nullopt;
}

std::optional<Activation> fused_activation(const Node& node) {
  return activation_named(node.string_or("activation", ""), node.floats_or("activation_parameters"));
}

}  // namespace sparse_run::cpu
