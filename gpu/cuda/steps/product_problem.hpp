// What a matrix product on the GPU is, before a library or kernel runs it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gpu/cuda/kernels/block.hpp"
#include "gpu/cuda/steps/activation.hpp"
#include "gpu/cuda/steps/node_view.hpp"

namespace sparse_run::gpu::cuda {

/// MatMul, Gemm or FusedMatMul as y[batch][m][n] = activation(alpha · a[…] b[…] + bias[n] + residual). Operands 0 to 3
/// of the node are a, b, bias and residual, but for a Gemm whose third operand is like the result.
struct ProductProblem {
  Index m = 1;
  Index n = 1;
  Index k = 1;
  bool transposed_a = false;  ///< stored [k][m]
  bool transposed_b = false;  ///< stored [n][k]
  float alpha = 1;
  /// Batch axes, outermost first, neighbouring ones joined; steps in elements, 0 where an operand is repeated. Empty
  /// for a single product. Rows of a are joined with its batches where b has none.
  std::vector<Index> batch_size;
  std::vector<Index> batch_step_a;
  std::vector<Index> batch_step_b;
  std::optional<std::size_t> bias;      ///< operand
  std::optional<std::size_t> residual;  ///< operand
  UnaryCall activation;

  Index batches() const;
  Index results() const { return batches() * m * n; }
  double flops() const { return 2.0 * static_cast<double>(results()) * static_cast<double>(k); }
};

/// The problem, or nullopt with the reason why there is none for this node.
std::optional<ProductProblem> product_problem(const NodeView& view, std::string& reason);

}  // namespace sparse_run::gpu::cuda
