// Registration of the parts of the matrix family, one function per source file.
#pragma once

#include "graph/ops/schema.hpp"

namespace sparse_run {

/// The shape of a NumPy matmul of a by b, unknown dimensions allowed. Error(model) with both when they do not fit.
Shape matmul_shape(const Shape& a, const Shape& b);

void register_einsum_ops(OpRegistry& registry);
void register_attention_ops(OpRegistry& registry);  // Attention, RotaryEmbedding, LinearAttention, FlexAttention

}  // namespace sparse_run
