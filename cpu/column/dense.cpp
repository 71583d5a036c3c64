// Packs dense weights into K tiles of row blocks.
#include "cpu/column/dense.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace sparse_run::cpu {
namespace {

/// Tiles of equal length whose panel leaves room in a first-level cache of 32 KiB.
std::size_t choose_k_tile(std::size_t k, std::size_t lanes) {
  const std::size_t longest = kDensePanelFloats / lanes;
  const std::size_t tiles = (k + longest - 1) / longest;
  return k == 0 ? 1 : (k + tiles - 1) / tiles;
}

}  // namespace

DenseColumns::DenseColumns(std::span<const float> weights, std::size_t rows, std::size_t k, std::size_t lanes, Isa isa)
    : rows_(rows), k_(k), kernels_(&column_kernels(isa)) {
  require(weights.size() == rows * k, "DenseColumns: weights do not have rows · k elements");
  const auto width = static_cast<std::size_t>(kernels_->width);
  const std::size_t most = lane_step() * kDenseGroupTiles;
  const std::size_t panel_lanes = std::clamp((lanes + width - 1) / width * width, 2 * width, most);
  k_tile_ = choose_k_tile(k, panel_lanes);
  weights_.resize(rows * k);
  float* out = weights_.data();
  for (std::size_t k_begin = 0; k_begin < k; k_begin += k_tile_) {
    const std::size_t k_end = std::min(k, k_begin + k_tile_);
    for (std::size_t row = 0; row < rows; row += row_step()) {
      const std::size_t row_end = std::min(rows, row + row_step());
      for (std::size_t i = k_begin; i < k_end; ++i) {
        for (std::size_t r = row; r < row_end; ++r) *out++ = weights[r * k + i];
      }
    }
  }
}

void DenseColumns::run(const ColumnInput& input, const ColumnPart& part, float* y, std::size_t y_stride,
                       const Epilogue& epilogue) const noexcept {
  // Rows a multiple of 1 KiB apart compete for few cache sets; many rows repay the copy.
  const bool collect = rows_ >= 64 || (input.row_stride * static_cast<std::ptrdiff_t>(sizeof(float))) % 1024 == 0;
  const DensePack pack{weights_.data(), rows_, k_, k_tile_, collect};
  kernels_->dense(pack, input, part, y, y_stride, epilogue);
}

}  // namespace sparse_run::cpu
