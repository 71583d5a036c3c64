// A product whose left operand is constant, over operands [channel][token]: shared by the kernels that take it.
#pragma once

#include <optional>
#include <string>

#include "cpu/column/epilogue.hpp"
#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// Y[rows][lanes] = W · X[k][lanes], then bias, residual and activation. Operands: W, X, bias, residual.
struct LeftProduct {
  std::int64_t rows = 0, k = 0, lanes = 0;
  bool transposed = false;  ///< the constant is [k][rows]
  bool bias = false, residual = false;
  Activation activation;
};

/// Describes a MatMul or FusedMatMul, or says why it is no such product; empty: not even of the kind.
std::optional<std::string> describe_left_product(const NodeView& view, LeftProduct& product);

}  // namespace sparse_run::cpu
