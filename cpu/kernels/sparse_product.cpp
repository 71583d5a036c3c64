// Reads a product with sparse weights from its node.
#include "cpu/kernels/sparse_product.hpp"

#include <fmt/format.h>

#include "cpu/kernels/added_operands.hpp"
#include "cpu/kernels/fused_activation.hpp"

namespace sparse_run::cpu {

std::optional<std::string> describe_sparse_product(const NodeView& view, SparseProduct& product, double fewest_zeros) {
  const Node& node = view.node();
  if (!view.all_f32()) return "operands are not all f32";
  if (view.weight(1) == nullptr) return "the weights are computed at run time";
  const Shape& weights = view.input_shape(1);
  const Shape& x = view.input_shape(0);
  if (weights.size() != 2 || x.size() < 2) return "operands are not matrices";
  if (node.int_or("transA", 0) != 0 || node.float_or("alpha", 1.0f) != 1.0f) return "transA or alpha";
  if (element_count(view.output_shape(0)) == 0 || element_count(weights) == 0) return "an operand is empty";
  product.transposed = node.int_or("transB", 0) != 0;
  product.k = x.back();
  product.tokens = element_count(x) / product.k;
  product.features = view.output_shape(0).back();
  const auto activation = fused_activation(node);
  if (!activation) return "no kernel for activation " + node.string_or("activation", "");
  product.activation = *activation;
  if (auto reason = describe_added(view, product.features, product.bias, product.residual)) return reason;
  const double zeros = view.zeros(1);
  if (zeros < fewest_zeros) {
    return fmt::format("{:.0f}% zeros: not tried below {:.0f}%", 100 * zeros, 100 * fewest_zeros);
  }
  return std::nullopt;
}

const Csr& feature_rows(const NodeView& view, const SparseProduct& product) {
  return product.transposed ? view.weight(1)->by_rows() : view.weight(1)->by_columns();
}

}  // namespace sparse_run::cpu
