// The activation that fused operators apply to each element of their result.
#pragma once

#include <string_view>
#include <vector>

#include "graph/ir/node.hpp"

namespace sparse_run {

/// Attributes `activation` (a name, empty or absent: none) and `activation_parameters` (floats) of FusedConv and
/// FusedMatMul. Parameters: LeakyRelu {alpha}, Elu {alpha}, Clip {min, max}, HardSigmoid {alpha, beta}. All other
/// activations have none.
struct FusedActivation {
  enum class Kind {
    none,
    relu,
    leaky_relu,
    clip,
    hard_swish,
    hard_sigmoid,
    sigmoid,
    silu,
    gelu,
    gelu_tanh,
    tanh,
    elu,
    mish,
    softplus,
  };

  Kind kind = Kind::none;
  float a = 0;
  float b = 0;

  /// Error(model) for an unknown name or a wrong number of parameters.
  static FusedActivation of(const Node& node);
  /// The plain definition, one element. NaN propagates.
  double apply(double x) const;

  /// "Relu"; "" for none. The inverse of what of() reads.
  std::string_view name() const;
  std::vector<float> parameters() const;
  /// Writes both attributes.
  void store(Node& node) const;
};

}  // namespace sparse_run
