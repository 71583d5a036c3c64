// Cuts sparse weights into K tiles and pairs their rows by number of entries.
#include "cpu/sparse/columns.hpp"

#include <algorithm>
#include <numeric>

#include "base/error.hpp"

namespace sparse_run::cpu {

SparseColumns::SparseColumns(const Csr& weights, SparseVariant variant, Isa isa)
    : rows_(weights.rows), k_(weights.columns), nnz_(weights.nnz()), variant_(variant), kernels_(&sparse_kernels(isa)) {
  require(variant.vectors >= 1 && variant.vectors <= kSparseVectors && variant.k_tile >= 1 &&
              (variant.k_tile + 1) * lane_step() <= kSparsePanelFloats,
          "SparseColumns: variant outside its bounds");
  std::vector<bool> used(k_ / variant.k_tile + 1);
  for (const std::uint32_t column : weights.column) used[column / variant.k_tile] = true;
  std::vector<std::size_t> kept;  // tiles with entries; one without stands for a matrix that has none
  for (std::size_t tile = 0; tile < used.size(); ++tile) {
    if (used[tile]) kept.push_back(tile);
  }
  if (kept.empty()) kept.push_back(0);

  steps_.reserve(nnz_ / 2 + nnz_ / 64 + 64);
  std::vector<std::size_t> next(weights.row_begin.begin(), weights.row_begin.end() - 1);  // entry each row has come to
  for (const std::size_t tile : kept) {
    const std::size_t k_begin = tile * variant.k_tile;
    add_tile(weights, k_begin, std::min(k_, k_begin + variant.k_tile), tile == kept.front() || tile == kept.back(),
             next);
  }
  if (nnz_ == 0) tiles_.front().k_end = tiles_.front().k_begin;  // nothing to collect
}

void SparseColumns::add_tile(const Csr& weights, std::size_t k_begin, std::size_t k_end, bool every_row,
                             std::vector<std::size_t>& next) {
  std::vector<std::size_t> count(rows_);
  std::vector<std::uint32_t> order;
  for (std::size_t row = 0; row < rows_; ++row) {
    std::size_t end = next[row];
    while (end < weights.row_begin[row + 1] && weights.column[end] < k_end) ++end;
    count[row] = end - next[row];
    if (every_row || count[row] > 0) order.push_back(static_cast<std::uint32_t>(row));
  }
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return count[a] > count[b]; });
  if (order.size() % 2 != 0) order.push_back(order.back());  // a row paired with itself computes the same twice

  SparseTile tile{k_begin, k_end, steps_.size(), row_list_.size(), runs_.size(), 0};
  const std::size_t pitch = lane_step();
  const auto zeros = static_cast<std::uint16_t>((k_end - k_begin) * pitch);
  for (std::size_t i = 0; i < order.size(); i += 2) {
    const std::size_t steps = count[order[i]];
    for (std::size_t s = 0; s < steps; ++s) {
      SparseStep step;
      for (std::size_t p = 0; p < 2; ++p) {
        const std::uint32_t row = order[i + p];
        const bool filled = s < count[row];
        const std::size_t entry = next[row] + s;
        step.at[p] = filled ? static_cast<std::uint16_t>((weights.column[entry] - k_begin) * pitch) : zeros;
        step.weight[p] = filled ? weights.value[entry] : 0.0f;
      }
      steps_.push_back(step);
    }
    if (runs_.size() == tile.first_run || runs_.back().steps != steps) {
      runs_.push_back({static_cast<std::uint32_t>(steps), 0});
    }
    ++runs_.back().pairs;
  }
  row_list_.insert(row_list_.end(), order.begin(), order.end());
  if (!order.empty()) row_list_.insert(row_list_.end(), 2 * kSparseLookahead, order.back());
  for (std::size_t row = 0; row < rows_; ++row) next[row] += count[row];
  tile.runs = runs_.size() - tile.first_run;
  tiles_.push_back(tile);
}

std::vector<SparseVariant> SparseColumns::candidates(double zeros, std::size_t k, std::size_t taps, std::size_t lanes,
                                                     Isa isa) {
  const auto width = static_cast<std::size_t>(sparse_kernels(isa).width);
  const std::size_t vectors = std::max<std::size_t>(1, (lanes + width - 1) / width);
  // 32 KiB of panel leave room in the first-level cache for results and weights.
  const auto variant = [&](std::size_t block) {
    block = std::min({block, vectors, static_cast<std::size_t>(kSparseVectors)});
    std::size_t k_tile = 8192 / (block * width);
    k_tile = std::min(k_tile, kSparsePanelFloats / (block * width) - 1);
    if (taps > 1 && k_tile > taps) k_tile -= k_tile % taps;
    const std::size_t tiles = (k + k_tile - 1) / k_tile;
    if (tiles > 0) {  // tiles of equal length, of whole channels where they were
      std::size_t even = (k + tiles - 1) / tiles;
      if (taps > 1 && k_tile % taps == 0) even = (even + taps - 1) / taps * taps;
      k_tile = std::min(k_tile, even);
    }
    return SparseVariant{static_cast<int>(block), std::max<std::size_t>(1, k_tile)};
  };
  std::vector<std::size_t> blocks{4, 6, 3};
  if (zeros >= 0.94) blocks = {3, 4, 2};
  if (zeros <= 0.72) blocks = {6, 4, 5};
  std::vector<SparseVariant> list;
  for (const std::size_t block : blocks) {
    const SparseVariant candidate = variant(block);
    if (std::find(list.begin(), list.end(), candidate) == list.end()) list.push_back(candidate);
  }
  return list;
}

std::size_t SparseColumns::bytes() const noexcept {
  return steps_.size() * sizeof(SparseStep) + row_list_.size() * sizeof(std::uint32_t) +
         runs_.size() * sizeof(SparseRun) + tiles_.size() * sizeof(SparseTile);
}

void SparseColumns::run(const ColumnInput& input, std::size_t lane_begin, std::size_t lane_end, float* y,
                        std::size_t y_stride, const Epilogue& epilogue) const noexcept {
  const SparsePack pack{tiles_.data(), tiles_.size(), steps_.data(), row_list_.data(), runs_.data(), variant_.vectors};
  kernels_->columns(pack, input, lane_begin, lane_end, y, y_stride, epilogue);
}

}  // namespace sparse_run::cpu
