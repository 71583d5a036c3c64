// Schemas and type inference of the operators that passes create (domain "sparse_run").
#include "graph/ops/fused_activation.hpp"
#include "graph/ops/matrix.hpp"
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run {

namespace {

/// Error(model) unless operand i, where both shapes are known, broadcasts to `output` without enlarging it.
void expect_broadcasts_to(const InferContext& context, std::size_t i, const Shape& output, std::string_view what) {
  const Shape* shape = context.shape(i);
  if (shape == nullptr) return;
  const auto together = broadcast(*shape, output);
  if (!together || together->size() != output.size() || (is_concrete(output) && *together != output)) {
    throw_error(ErrorKind::model, "input {} ({}) of shape {} does not broadcast to {}", i, what, to_string(*shape),
                to_string(output));
  }
}

/// The residual has exactly the output's shape; what either knows of a dimension is used.
Shape with_residual(const InferContext& context, std::size_t i, Shape output) {
  if (!context.has_input(i)) return output;
  expect_same_dtype(context, 0, i);
  const Shape* residual = expect_rank(context, i, output.size());
  if (residual == nullptr) return output;
  for (std::size_t d = 0; d < output.size(); ++d) {
    output[d] = expect_same_dim(output[d], (*residual)[d], "dimension of the output and of the residual");
  }
  return output;
}

/// FusedConv(X, W, [B], [residual]) with Conv's attributes: activation(conv(X, W) + B + residual).
void infer_fused_conv(InferContext& context) {
  expect_float(context, 0);
  FusedActivation::of(context.node());
  const DType dtype = expect_same_dtype(context, 0, 1);
  const Shape* input = context.shape(0);
  const Shape* weights = context.shape(1);
  if (input == nullptr || weights == nullptr) return context.set_tensor(0, dtype);
  const ConvGeometry geometry = ConvGeometry::forward(context.node(), *input, *weights);
  if (context.has_input(2)) {
    expect_same_dtype(context, 0, 2);
    expect_vector(context, 2, geometry.out_channels, "bias");
  }
  context.set_tensor(0, dtype, with_residual(context, 3, geometry.output_shape()));
}

Shape last_two_swapped(Shape shape) {
  if (shape.size() < 2) throw_error(ErrorKind::model, "a transposed operand needs rank 2, it is {}", to_string(shape));
  std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return shape;
}

/// FusedMatMul(A, B, [bias], [residual]): activation(alpha · A′B′ + bias + residual), A′ and B′ with their last two
/// dimensions swapped where transA, transB say so.
void infer_fused_matmul(InferContext& context) {
  expect_float(context, 0);
  const Node& node = context.node();
  FusedActivation::of(node);
  const DType dtype = expect_same_dtype(context, 0, 1);
  const Shape* a = context.shape(0);
  const Shape* b = context.shape(1);
  if (a == nullptr || b == nullptr) return context.set_tensor(0, dtype);
  const Shape output = matmul_shape(node.int_or("transA", 0) != 0 ? last_two_swapped(*a) : *a,
                                    node.int_or("transB", 0) != 0 ? last_two_swapped(*b) : *b);
  if (context.has_input(2)) {
    expect_same_dtype(context, 0, 2);
    expect_broadcasts_to(context, 2, output, "bias");
  }
  context.set_tensor(0, dtype, with_residual(context, 3, output));
}

/// MultiHeadAttention(Q [B,S,H·D], K [B,T,H·D], V [B,T,H·E], [mask]): per head softmax(scale · QKᵀ + mask) V, the
/// heads side by side again: [B,S,H·E]. The mask broadcasts to [B,H,S,T].
void infer_multi_head_attention(InferContext& context) {
  expect_float(context, 0);
  DType dtype = expect_same_dtype(context, 0, 1);
  if (dtype == DType::undefined) dtype = expect_same_dtype(context, 0, 2);
  const std::int64_t heads = context.node().get<std::int64_t>("num_heads");
  const Shape unknown(3, kUnknownDim);
  const auto operand = [&](std::size_t i) {
    const Shape* shape = expect_rank(context, i, 3);
    return shape != nullptr ? *shape : unknown;
  };
  const Shape q = operand(0);
  const Shape k = operand(1);
  const Shape v = operand(2);
  const std::int64_t batch = expect_same_dim(expect_same_dim(q[0], k[0], "batch of Q and K"), v[0], "batch of K and V");
  const std::int64_t keys = expect_same_dim(k[1], v[1], "length of K and V");
  const std::int64_t width = expect_same_dim(q[2], k[2], "width of Q and K");
  if (heads < 1 || (width >= 0 && width % heads != 0) || (v[2] >= 0 && v[2] % heads != 0)) {
    throw_error(ErrorKind::model, "widths {} and {} cannot be divided into {} heads", width, v[2], heads);
  }
  if (context.has_input(3)) {
    expect_same_dtype(context, 0, 3);
    expect_broadcasts_to(context, 3, Shape{batch, heads, q[1], keys}, "mask");
  }
  context.set_tensor(0, dtype, Shape{batch, q[1], v[2]});
}

/// ChannelNormalization(X [N,C,L], scale [C], [bias [C]]): LayerNormalization over C, which is not the last axis.
void infer_channel_normalization(InferContext& context) {
  expect_float(context, 0);
  const DType dtype = expect_same_dtype(context, 0, 1);
  const Shape* x = expect_rank(context, 0, 3);
  if (x == nullptr) return context.set_tensor(0, dtype);
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    if (context.has_input(i)) expect_vector(context, i, (*x)[1], i == 1 ? "scale" : "bias");
  }
  context.set_tensor(0, dtype, *x);
}

/// ChannelAttention(Q [1,H·D,B·S], K [1,H·D,B·T], V [1,H·E,B·T], [mask]): MultiHeadAttention of operands whose tokens
/// are the last axis, batch after batch; the result [1,H·E,B·S].
void infer_channel_attention(InferContext& context) {
  expect_float(context, 0);
  DType dtype = expect_same_dtype(context, 0, 1);
  if (dtype == DType::undefined) dtype = expect_same_dtype(context, 0, 2);
  const std::int64_t heads = context.node().get<std::int64_t>("num_heads");
  const std::int64_t batch = context.node().get<std::int64_t>("batch");
  const Shape* q = expect_rank(context, 0, 3);
  const Shape* k = expect_rank(context, 1, 3);
  const Shape* v = expect_rank(context, 2, 3);
  if (q == nullptr || k == nullptr || v == nullptr) return context.set_tensor(0, dtype);
  expect_same_dim((*q)[1], (*k)[1], "width of Q and K");
  expect_same_dim((*k)[2], (*v)[2], "tokens of K and V");
  const auto divides = [](std::int64_t part, std::int64_t whole) {
    return part >= 1 && (whole < 0 || whole % part == 0);
  };
  if (!divides(heads, (*q)[1]) || !divides(heads, (*v)[1]) || !divides(batch, (*q)[2]) || !divides(batch, (*k)[2])) {
    throw_error(ErrorKind::model, "{} heads and {} batches do not divide operands of {}, {} and {}", heads, batch,
                to_string(*q), to_string(*k), to_string(*v));
  }
  if (context.has_input(3)) {
    expect_same_dtype(context, 0, 3);
    if (is_concrete(*q) && is_concrete(*k)) {
      expect_broadcasts_to(context, 3, Shape{batch, heads, (*q)[2] / batch, (*k)[2] / batch}, "mask");
    }
  }
  context.set_tensor(0, dtype, Shape{1, (*v)[1], (*q)[2]});
}

}  // namespace

void register_internal_ops(OpRegistry& registry) {
  registry.add({kInternalDomain, "FusedConv", 1, 2, 4, 1, 1, infer_fused_conv});
  registry.add({kInternalDomain, "FusedMatMul", 1, 2, 4, 1, 1, infer_fused_matmul});
  registry.add({kInternalDomain, "MultiHeadAttention", 1, 3, 4, 1, 1, infer_multi_head_attention});
  register_aggregate_op(registry);
  register_aggregate_chain_op(registry);
  registry.add({kInternalDomain, "ChannelNormalization", 1, 2, 3, 1, 1, infer_channel_normalization});
  registry.add({kInternalDomain, "ChannelAttention", 1, 3, 4, 1, 1, infer_channel_attention});
}

}  // namespace sparse_run
