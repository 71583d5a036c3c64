// Constant sparse weights of products, packed for the GPU.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "device/precision.hpp"
#include "gpu/cuda/steps/node_view.hpp"

namespace sparse_run::gpu::cuda {

/// Rows are outputs: w[m][k], whatever way the model stores them.
struct CsrWeights {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<std::int32_t> begins;  ///< rows + 1
  std::vector<std::int32_t> column;
  std::vector<float> values;

  double zeros() const;  ///< share in [0, 1]
};

/// Share of zeros from which sparse kernels of f32 are preferred to cuBLASLt in `precision`. Priors, to be replaced by
/// measurement on the device: tensor cores, which the lower precisions use, multiply about ten times faster.
constexpr double sparse_from(Precision precision) { return precision == Precision::f32 ? 0.8 : 0.95; }

/// Operand 1 of a product when it is a constant matrix of f32 with at least a share `from` of zeros and fewer than 2^31
/// non-zeros; nullopt otherwise, with the reason. `transposed`: stored [n][k] rather than [k][n].
std::optional<CsrWeights> csr_weights(const NodeView& view, bool transposed, double from, std::string& reason);

/// The same question answered without packing.
std::string refuse_sparse_weights(const NodeView& view, double from);

/// Bit k % 32 of words[m][k / 32] says whether w[m][k] is there; begins are positions in values.
struct BitmapWeights {
  std::vector<std::uint32_t> words;
  std::vector<std::uint32_t> begins;
  std::vector<float> values;

  static BitmapWeights of(const CsrWeights& weights);
};

}  // namespace sparse_run::gpu::cuda
