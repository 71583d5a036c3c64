// The activation attribute of fused nodes as the kernels' Activation.
#pragma once

#include <optional>

#include "cpu/column/epilogue.hpp"
#include "graph/ir/node.hpp"

namespace sparse_run::cpu {

/// The kernels' form of `activation` and `activation_parameters` of a FusedConv or FusedMatMul (no activation when
/// they are absent); nullopt when no kernel implements it.
std::optional<Activation> fused_activation(const Node& node);

/// The same for a standalone activation operator (Relu, Clip with constant bounds given by the caller, …).
std::optional<Activation> activation_named(std::string_view name, const std::vector<float>& parameters);

}  // namespace sparse_run::cpu
