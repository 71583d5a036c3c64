// Groups sparse weights by four rows and cuts them into K tiles.
#include "cpu/sparse/blocks.hpp"

#include <algorithm>
#include <array>

namespace sparse_run::cpu {

namespace {

/// Calls entry(column, weights of the group's rows) for every column below `k_end` in which one of the rows has an
/// entry, in ascending order; `next` holds the entry each row has come to.
template <class Entry>
void merge_rows(const Csr& weights, std::size_t first_row, std::size_t k_end,
                std::array<std::size_t, kSparseBlockRows>& next, const Entry& entry) {
  const std::size_t live = std::min(kSparseBlockRows, weights.rows - first_row);
  const auto open = [&](std::size_t r) { return next[r] < weights.row_begin[first_row + r + 1]; };
  while (true) {
    std::size_t column = k_end;
    for (std::size_t r = 0; r < live; ++r) {
      if (open(r)) column = std::min<std::size_t>(column, weights.column[next[r]]);
    }
    if (column >= k_end) return;
    std::array<float, kSparseBlockRows> values{};
    for (std::size_t r = 0; r < live; ++r) {
      if (open(r) && weights.column[next[r]] == column) values[r] = weights.value[next[r]++];
    }
    entry(column, values);
  }
}

std::array<std::size_t, kSparseBlockRows> first_entries(const Csr& weights, std::size_t first_row) {
  std::array<std::size_t, kSparseBlockRows> next{};
  for (std::size_t r = 0; r < kSparseBlockRows && first_row + r < weights.rows; ++r) {
    next[r] = weights.row_begin[first_row + r];
  }
  return next;
}

}  // namespace

double SparseBlocks::fill(const Csr& weights) {
  std::size_t stored = 0;
  for (std::size_t row = 0; row < weights.rows; row += kSparseBlockRows) {
    auto next = first_entries(weights, row);
    std::size_t columns = 0;
    merge_rows(weights, row, weights.columns, next, [&](std::size_t, const auto&) { ++columns; });
    stored += columns * std::min(kSparseBlockRows, weights.rows - row);
  }
  return stored == 0 ? 1 : static_cast<double>(weights.nnz()) / static_cast<double>(stored);
}

SparseBlocks::SparseBlocks(const Csr& weights, Isa isa)
    : rows_(weights.rows), k_(weights.columns), nnz_(weights.nnz()), kernels_(&sparse_block_kernels(isa)) {
  const std::size_t pitch = lane_step(), most = kSparseBlockPanelFloats / pitch;
  const std::size_t tiles = std::max<std::size_t>(1, (k_ + most - 1) / most);
  const std::size_t k_tile = (k_ + tiles - 1) / tiles;
  std::vector<std::array<std::size_t, kSparseBlockRows>> next;
  for (std::size_t row = 0; row < rows_; row += kSparseBlockRows) next.push_back(first_entries(weights, row));
  for (std::size_t t = 0; t < tiles; ++t) {
    SparseBlockTile tile{t * k_tile, std::min(k_, (t + 1) * k_tile), at_.size(), groups_.size(), 0};
    if (nnz_ == 0) tile.k_end = tile.k_begin;  // nothing to collect
    for (std::size_t row = 0; row < rows_; row += kSparseBlockRows) {
      const std::size_t before = at_.size();
      merge_rows(weights, row, tile.k_end, next[row / kSparseBlockRows], [&](std::size_t column, const auto& values) {
        at_.push_back(static_cast<std::uint16_t>((column - tile.k_begin) * pitch));
        weights_.insert(weights_.end(), values.begin(), values.end());
      });
      const std::size_t entries = at_.size() - before;
      if (entries == 0 && t != 0 && t + 1 != tiles) continue;
      groups_.push_back({static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(entries)});
    }
    tile.groups = groups_.size() - tile.first_group;
    tiles_.push_back(tile);
  }
  at_.shrink_to_fit();
  weights_.shrink_to_fit();
}

std::size_t SparseBlocks::bytes() const noexcept {
  return at_.size() * sizeof(std::uint16_t) + weights_.size() * sizeof(float) +
         groups_.size() * sizeof(SparseBlockGroup) + tiles_.size() * sizeof(SparseBlockTile);
}

void SparseBlocks::run(const ColumnInput& input, std::size_t lane_begin, std::size_t lane_end, float* y,
                       std::size_t y_stride, const Epilogue& epilogue) const noexcept {
  kernels_->run({rows_, tiles_.data(), tiles_.size(), groups_.data(), at_.data(), weights_.data()}, input, lane_begin,
                lane_end, y, y_stride, epilogue);
}

}  // namespace sparse_run::cpu
