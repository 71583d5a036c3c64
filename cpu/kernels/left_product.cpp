// Reading a product with a constant on the left.
#include "cpu/kernels/left_product.hpp"

#include "cpu/kernels/fused_activation.hpp"

namespace sparse_run::cpu {

std::optional<std::string> describe_left_product(const NodeView& view, LeftProduct& product) {
  const Node& node = view.node();
  if (!view.all_f32()) return "operands are not all f32";
  if (view.weight(0) == nullptr) return "";
  const Shape& weights = view.input_shape(0);
  const Shape& x = view.input_shape(1);
  if (weights.size() != 2 || x.size() < 2) return "operands are not matrices";
  if (node.int_or("transB", 0) != 0 || node.float_or("alpha", 1.0f) != 1.0f) return "transB or alpha";
  if (element_count(view.output_shape(0)) == 0 || element_count(weights) == 0) return "an operand is empty";
  product.transposed = node.int_or("transA", 0) != 0;
  product.rows = weights[product.transposed ? 1 : 0];
  product.k = weights[product.transposed ? 0 : 1];
  product.lanes = x.back();
  if (element_count(x) != product.k * product.lanes) return "the right operand is several matrices";
  const auto activation = fused_activation(node);
  if (!activation) return "no kernel for activation " + node.string_or("activation", "");
  product.activation = *activation;
  if (view.has_input(2)) {
    const Shape& bias = view.input_shape(2);
    product.bias = element_count(bias) == product.rows && bias.size() >= 2 && bias.back() == 1;
    if (!product.bias) return "the added operand is not one value per row";
  }
  product.residual = view.has_input(3);
  if (product.residual && view.input_shape(3) != view.output_shape(0)) return "the residual broadcasts";
  return std::nullopt;
}

}  // namespace sparse_run::cpu
