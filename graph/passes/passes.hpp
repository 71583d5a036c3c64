// Every pass there is, one factory and one source file each.
#pragma once

#include <memory>

#include "graph/passes/pass.hpp"

namespace sparse_run {

/// share_equal_nodes.cpp: equal constants become one, and so do equal computations (common subexpressions).
std::unique_ptr<Pass> make_share_equal_nodes();
/// simplify_movement.cpp: reshape of reshape, transpose of transpose, and movement that moves nothing.
std::unique_ptr<Pass> make_simplify_movement();
/// fold_batch_norm.cpp: batch normalisation goes into the weights around it, or becomes a product and a sum.
std::unique_ptr<Pass> make_fold_batch_norm();
/// fold_scale.cpp: constant factors and summands go into the weights and bias before them.
std::unique_ptr<Pass> make_fold_scale();
/// fold_projection.cpp: a large product whose groups of columns are weighted and added up becomes a narrow product.
std::unique_ptr<Pass> make_fold_projection();
/// fold_pad.cpp: zero padding goes into the convolution after it.
std::unique_ptr<Pass> make_fold_pad();
/// recognise_activation.cpp: Gelu, Swish, HardSwish, HardSigmoid and Mish from the primitives they are spelled with.
std::unique_ptr<Pass> make_recognise_activation();
/// recognise_layer_norm.cpp: LayerNormalization from the primitives it is spelled with.
std::unique_ptr<Pass> make_recognise_layer_norm();
/// recognise_attention.cpp: MultiHeadAttention from the primitives it is spelled with; needs concrete shapes.
std::unique_ptr<Pass> make_recognise_attention();
/// recognise_aggregate.cpp: SparseAggregate from gather, scale and scatter along edges; needs concrete shapes.
std::unique_ptr<Pass> make_recognise_aggregate();
/// multiply_after_sums.cpp: sums over edges of products become products of sums, where rows are not wider before.
std::unique_ptr<Pass> make_multiply_after_sums();
/// fuse_aggregate.cpp: SparseAggregate with the matrix products of its rows becomes AggregateChain.
std::unique_ptr<Pass> make_fuse_aggregate();
/// fuse_convolution.cpp: Conv with the residual and the activation after it becomes FusedConv.
std::unique_ptr<Pass> make_fuse_convolution();
/// fuse_product.cpp: MatMul and Gemm with transposes, factor, bias, residual and activation become FusedMatMul.
std::unique_ptr<Pass> make_fuse_product();
/// tokens_as_lanes.cpp: chains of products with sparse weights work on [1, channels, tokens]; after fuse-product.
std::unique_ptr<Pass> make_tokens_as_lanes();

}  // namespace sparse_run
