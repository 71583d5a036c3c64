// A matrix product as its node describes it: shared by the kernels for dense products.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cpu/column/epilogue.hpp"
#include "cpu/dense/onednn_matmul.hpp"
#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// The product of a node: batches of C[m][n] = alpha · A · B, then bias, residual and activation.
struct Product {
  OnednnMatmul::Shape shape;
  std::vector<std::int64_t> a_offsets, b_offsets;  ///< per batch, in floats
  float alpha = 1;
  int bias = -1;      ///< operand of [n] values
  int residual = -1;  ///< operand of the result's shape
  Activation activation;

  std::int64_t batches() const { return static_cast<std::int64_t>(a_offsets.size()); }
  double flops() const {
    return 2.0 * static_cast<double>(batches()) * static_cast<double>(shape.m) * static_cast<double>(shape.n) *
           static_cast<double>(shape.k);
  }
};

/// Describes a MatMul, Gemm or FusedMatMul as a product, or says why it is none that row-major kernels compute.
std::optional<std::string> describe_product(const NodeView& view, Product& product);

}  // namespace sparse_run::cpu
