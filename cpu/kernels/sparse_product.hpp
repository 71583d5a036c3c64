// A product of rows with a sparse constant on the right, as the kernels for many and for few rows see it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cpu/column/epilogue.hpp"
#include "cpu/kernels/sparsity_threshold.hpp"
#include "cpu/selection/weight_facts.hpp"
#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// Y[tokens][features] = X[tokens][k] · W, then bias, residual and activation.
struct SparseProduct {
  std::int64_t tokens = 0, features = 0, k = 0;
  bool transposed = false;  ///< the constant is [features][k] already
  int bias = -1, residual = -1;
  Activation activation;
};

/// Describes a MatMul, Gemm or FusedMatMul, or says why it is none that the sparse kernels compute; `fewest_zeros` is the
/// share of zeros from which on they are tried.
std::optional<std::string> describe_sparse_product(const NodeView& view, SparseProduct& product,
                                                   double fewest_zeros = kSparseWorthTrying);

/// The constant as rows of output features. Belongs to the view's weight.
const Csr& feature_rows(const NodeView& view, const SparseProduct& product);

}  // namespace sparse_run::cpu
