// Reading a product node: which matrices its batches multiply, and what is added.
#include "cpu/kernels/product.hpp"

#include <algorithm>

#include "cpu/kernels/added_operands.hpp"
#include "cpu/kernels/fused_activation.hpp"

namespace sparse_run::cpu {

namespace {

/// Offsets of each result batch's matrix in an operand whose leading dimensions broadcast.
std::vector<std::int64_t> batch_offsets(const Shape& operand, const Shape& result) {
  const std::size_t rank = result.size() - 2;
  const Shape batch(result.begin(), result.end() - 2);
  std::vector<std::int64_t> step(rank, 0);
  std::int64_t stride = operand[operand.size() - 1] * operand[operand.size() - 2];
  for (std::size_t i = 0; i + 2 < operand.size(); ++i) {  // from the innermost batch dimension outwards
    const std::size_t own = operand.size() - 3 - i;
    if (operand[own] != 1) step[rank - 1 - i] = stride;
    stride *= operand[own];
  }
  std::vector<std::int64_t> offsets;
  std::vector<std::int64_t> index(rank, 0);
  const std::int64_t count = element_count(batch);
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < rank; ++d) offset += index[d] * step[d];
    offsets.push_back(offset);
    for (std::size_t d = rank; d-- > 0;) {
      if (++index[d] < batch[d]) break;
      index[d] = 0;
    }
  }
  return offsets;
}

}  // namespace

std::optional<std::string> describe_product(const NodeView& view, Product& product) {
  const Node& node = view.node();
  if (!view.all_f32()) return "operands are not all f32";
  Shape a = view.input_shape(0);
  Shape b = view.input_shape(1);
  Shape y = view.output_shape(0);
  if (a.size() < 2 || b.size() < 2) return "an operand is a vector";
  if (element_count(y) == 0 || element_count(a) == 0) return "an operand is empty";
  const bool transpose_a = node.int_or("transA", 0) != 0;
  const bool transpose_b = node.int_or("transB", 0) != 0;
  product.alpha = node.float_or("alpha", 1.0f);
  // Leading dimensions of A over one matrix B are rows of one product.
  if (b.size() == 2 && !transpose_a && a.size() > 2) {
    const std::int64_t rows = element_count(a) / a.back();
    a = {rows, a.back()};
    y = {rows, y.back()};
  }
  const std::int64_t a_width = a.back();
  const std::int64_t b_width = b.back();
  OnednnMatmul::Shape& shape = product.shape;
  shape.m = y[y.size() - 2];
  shape.n = y.back();
  shape.k = transpose_a ? a[a.size() - 2] : a_width;
  shape.a_row = transpose_a ? 1 : a_width;
  shape.a_column = transpose_a ? a_width : 1;
  shape.b_row = transpose_b ? 1 : b_width;
  shape.b_column = transpose_b ? b_width : 1;
  shape.c_row = shape.n;
  product.a_offsets = batch_offsets(a, y);
  product.b_offsets = batch_offsets(b, y);
  const auto activation = fused_activation(node);
  if (!activation) return "no kernel for activation " + node.string_or("activation", "");
  product.activation = *activation;
  return describe_added(view, shape.n, product.bias, product.residual);
}

}  // namespace sparse_run::cpu
