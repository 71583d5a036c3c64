// Slices sparse weights into groups of rows of similar length.
#include "cpu/sparse/rows.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.hpp"

namespace sparse_run::cpu {

SparseRows::SparseRows(const Csr& weights, WeightStorage storage, Isa isa)
    : rows_(weights.rows),
      k_(weights.columns),
      nnz_(weights.nnz()),
      tiles_(std::max<std::size_t>(1, (weights.columns + kSparseRowsTile - 1) / kSparseRowsTile)),
      kernels_(&sparse_kernels(isa)),
      order_(weights.rows) {
  const auto width = static_cast<std::size_t>(kernels_->width);
  std::iota(order_.begin(), order_.end(), 0u);
  std::stable_sort(order_.begin(), order_.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return weights.row_nnz(a) > weights.row_nnz(b); });
  std::vector<std::size_t> next(weights.row_begin.begin(), weights.row_begin.end() - 1);  // entry each row has come to
  for (std::size_t first = 0; first < rows_; first += width) {
    const std::size_t count = std::min(width, rows_ - first);
    for (std::size_t tile = 0; tile < tiles_; ++tile) {
      const std::size_t k_begin = tile * kSparseRowsTile, k_end = k_begin + kSparseRowsTile;
      std::array<std::size_t, 16> entries{};
      std::size_t most = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t row = order_[first + i];
        std::size_t end = next[row];
        while (end < weights.row_begin[row + 1] && weights.column[end] < k_end) ++end;
        entries[i] = end - next[row];
        most = std::max(most, entries[i]);
      }
      SparseSlice slice{active_.size(), static_cast<std::uint32_t>(most), 0};
      for (std::size_t step = 0; step < most; ++step) {
        unsigned active = 0;
        for (std::size_t i = 0; i < width; ++i) {
          const bool filled = step < entries[i];
          const std::size_t entry = filled ? next[order_[first + i]] + step : 0;
          at_.push_back(filled ? static_cast<std::uint16_t>(weights.column[entry] - k_begin) : std::uint16_t{0});
          const float weight = filled ? weights.value[entry] : 0.0f;
          if (storage == WeightStorage::bf16) {
            halves_.push_back(to_bf16(weight));
          } else {
            weights_.push_back(weight);
          }
          if (filled) active |= 1u << i;
        }
        active_.push_back(static_cast<std::uint16_t>(active));
        if (active + 1 == 1u << width) ++slice.whole;  // these come first: entries only run out
      }
      slices_.push_back(slice);
      for (std::size_t i = 0; i < count; ++i) next[order_[first + i]] += entries[i];
    }
  }
}

std::size_t SparseRows::bytes() const noexcept {
  return at_.size() * sizeof(std::uint16_t) + weights_.size() * sizeof(float) +
         halves_.size() * sizeof(std::uint16_t) + active_.size() * sizeof(std::uint16_t) +
         order_.size() * sizeof(std::uint32_t) + slices_.size() * sizeof(SparseSlice);
}

std::size_t SparseRows::slices() const noexcept { return slices_.size() / tiles_; }

void SparseRows::run(const float* x, std::size_t x_stride, std::size_t lanes, float* y, std::size_t y_stride,
                     const Epilogue& epilogue, std::size_t slice_begin, std::size_t slice_end) const noexcept {
  const SparseRowsPack pack{slices_.data(), tiles_, order_.data(), rows_, at_.data(), weights_.data(),
                            halves_.empty() ? nullptr : halves_.data(), active_.data()};
  kernels_->rows(pack, slice_begin, slice_end, x, x_stride, lanes, y, y_stride, epilogue);
}

}  // namespace sparse_run::cpu
