// Functions of one number as operators and fused activations name them.
#pragma once

#include <optional>

#include "gpu/cuda/kernels/scalar_math.hpp"
#include "gpu/cuda/steps/node_view.hpp"

namespace sparse_run::gpu::cuda {

/// A function with its parameters.
struct UnaryCall {
  Unary function = Unary::identity;
  float a = 0;
  float b = 0;
};

/// The activation of FusedConv or FusedMatMul; identity for other operators. Error(model) for attributes that name
/// none.
UnaryCall fused_activation(const Node& node);

/// What an elementwise operator of one f32 operand computes; nullopt when it is none, or a bound is not constant.
std::optional<UnaryCall> unary_call(const NodeView& view);

/// What an elementwise operator of two f32 operands computes; nullopt when it is none.
std::optional<Binary> binary_call(const NodeView& view);

}  // namespace sparse_run::gpu::cuda
