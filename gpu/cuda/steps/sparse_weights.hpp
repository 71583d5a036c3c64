// Constant sparse weights of products, packed for the GPU.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

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

/// Operand 1 of a product when it is a constant matrix of f32 with at least kSparseFrom zeros and fewer than 2^31
/// non-zeros; nullopt otherwise, with the reason. `transposed`: stored [n][k] rather than [k][n].
std::optional<CsrWeights> csr_weights(const NodeView& view, bool transposed, std::string& reason);

/// The same question answered without packing.
std::string refuse_sparse_weights(const NodeView& view);

/// Share of zeros from which sparse kernels are preferred to cuBLASLt. A prior, to be replaced by measurement on the
/// device.
inline constexpr double kSparseFrom = 0.8;

/// Bit k % 32 of words[m][k / 32] says whether w[m][k] is there; begins are positions in values.
struct BitmapWeights {
  std::vector<std::uint32_t> words;
  std::vector<std::uint32_t> begins;
  std::vector<float> values;

  static BitmapWeights of(const CsrWeights& weights);
};

}  // namespace sparse_run::gpu::cuda
