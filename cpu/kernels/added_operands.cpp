// Reads what a product adds from its node.
#include "cpu/kernels/added_operands.hpp"

#include <algorithm>

namespace sparse_run::cpu {

namespace {

/// Is this operand one value per column of the result (or none at all)?
bool is_column_bias(const Shape& shape, std::int64_t n) {
  return !shape.empty() && shape.back() == n &&
         std::all_of(shape.begin(), shape.end() - 1, [](std::int64_t dim) { return dim == 1; });
}

}  // namespace

std::optional<std::string> describe_added(const NodeView& view, std::int64_t features, int& bias, int& residual) {
  if (view.has_input(2)) {
    const Shape& c = view.input_shape(2);
    if (view.node().op == "Gemm" && view.node().float_or("beta", 1.0f) != 1.0f) return "beta is not 1";
    if (is_column_bias(c, features)) {
      bias = 2;
    } else if (c == view.output_shape(0)) {
      residual = 2;
    } else {
      return "the added operand is neither a bias of the columns nor of the result's shape";
    }
  }
  if (view.has_input(3)) {
    if (view.input_shape(3) != view.output_shape(0)) return "the residual broadcasts";
    if (residual >= 0) return "two residuals";
    residual = 3;
  }
  return std::nullopt;
}

}  // namespace sparse_run::cpu
