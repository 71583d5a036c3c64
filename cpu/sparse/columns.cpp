// Cuts sparse weights into K tiles and pairs their rows by number of entries.
#include "cpu/sparse/columns.hpp"

#include <algorithm>
#include <numeric>

#include "base/error.hpp"

namespace sparse_run::cpu {

SparseColumns::SparseColumns(const Csr& weights, SparseVariant variant, Isa isa, const Window* window)
    : rows_(weights.rows), k_(weights.columns), nnz_(weights.nnz()), variant_(variant), kernels_(&sparse_kernels(isa)) {
  require(variant.vectors >= 1 && variant.vectors <= kSparseVectors && variant.k_tile >= 1,
          "SparseColumns: variant outside its bounds");
  if (variant.strip) {
    require(window != nullptr, "SparseColumns: a strip variant needs its window");
    strip_ = StripLayout::of(*window, lane_step(), static_cast<std::size_t>(kernels_->width), variant.alignment);
    require(strip_ && variant.k_tile % strip_->tap_at.size() == 0 && k_ % strip_->tap_at.size() == 0,
            "SparseColumns: the window cannot be read by strips");
  }
  const bool halves = variant.storage == WeightStorage::bf16;
  require(!halves || !variant.strip, "SparseColumns: strips keep weights in f32");
  require(panel_floats(variant.k_tile) + lane_step() <= kSparsePanelFloats,
          "SparseColumns: variant outside its bounds");
  std::vector<bool> used(k_ / variant.k_tile + 1);
  for (const std::uint32_t column : weights.column) used[column / variant.k_tile] = true;
  std::vector<std::size_t> kept;  // tiles with entries; one without stands for a matrix that has none
  for (std::size_t tile = 0; tile < used.size(); ++tile) {
    if (used[tile]) kept.push_back(tile);
  }
  if (kept.empty()) kept.push_back(0);

  const auto reserve = [&](auto& steps) { steps.reserve(nnz_ / 2 + nnz_ / 64 + 64); };
  halves ? reserve(half_steps_) : reserve(steps_);
  std::vector<std::size_t> next(weights.row_begin.begin(), weights.row_begin.end() - 1);  // entry each row has come to
  for (const std::size_t tile : kept) {
    const std::size_t k_begin = tile * variant.k_tile;
    add_tile(weights, k_begin, std::min(k_, k_begin + variant.k_tile), tile == kept.front() || tile == kept.back(),
             next);
  }
  const auto shrink = [](auto& steps) {  // grown beyond the guess
    if (steps.capacity() > steps.size() + steps.size() / 32) steps.shrink_to_fit();
  };
  halves ? shrink(half_steps_) : shrink(steps_);
  if (nnz_ == 0) tiles_.front().k_end = tiles_.front().k_begin;  // nothing to collect
}

/// Room that the rows of X for so many columns of W take, the row of zeros not counted.
std::size_t SparseColumns::panel_floats(std::size_t columns) const noexcept {
  return strip_ ? columns / strip_->tap_at.size() * strip_->channel_floats : columns * lane_step();
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

  const bool halves = variant_.storage == WeightStorage::bf16;
  SparseTile tile{k_begin,      k_end, halves ? half_steps_.size() : steps_.size(),  row_list_.size(),
                  runs_.size(), 0,     static_cast<std::uint32_t>(order.size() / 2), panel_floats(k_end - k_begin)};
  std::vector<std::uint16_t> place(k_end - k_begin);  // of each column's row of X in the panel
  for (std::size_t k = 0; k < place.size(); ++k) {
    place[k] = static_cast<std::uint16_t>(panel_floats(k) + (strip_ ? strip_->tap_at[k % strip_->tap_at.size()] : 0));
  }
  const auto zeros = static_cast<std::uint16_t>(tile.zeros);
  for (std::size_t i = 0; i < order.size(); i += 2) {
    const std::size_t steps = count[order[i]];
    for (std::size_t s = 0; s < steps; ++s) {
      SparseStep step;
      for (std::size_t p = 0; p < 2; ++p) {
        const std::uint32_t row = order[i + p];
        const bool filled = s < count[row];
        const std::size_t entry = next[row] + s;
        step.at[p] = filled ? place[weights.column[entry] - k_begin] : zeros;
        step.weight[p] = filled ? weights.value[entry] : 0.0f;
      }
      if (halves) {
        half_steps_.push_back({{step.at[0], step.at[1]}, {to_bf16(step.weight[0]), to_bf16(step.weight[1])}});
      } else {
        steps_.push_back(step);
      }
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

namespace {

/// Floats of a panel that leave room in the first-level cache (32 of 48 KiB) for results and weights.
constexpr std::size_t kPanelAim = 8192;

std::vector<std::size_t> blocks_worth_timing(double zeros) {
  if (zeros >= 0.94) return {3, 4, 2};
  if (zeros <= 0.72) return {6, 4, 5};
  return {4, 6, 3};
}

void add_new(std::vector<SparseVariant>& list, const SparseVariant& variant) {
  if (std::find(list.begin(), list.end(), variant) == list.end()) list.push_back(variant);
}

}  // namespace

std::vector<SparseVariant> SparseColumns::candidates(double zeros, std::size_t k, const Window& window, Isa isa) {
  const auto taps = static_cast<std::size_t>(window.taps());
  const auto width = static_cast<std::size_t>(sparse_kernels(isa).width);
  const std::size_t channels = k / taps;
  std::vector<SparseVariant> list;
  for (std::size_t block : blocks_worth_timing(zeros)) {
    const std::size_t flat = (window.lanes() + width - 1) / width;  // more lanes than vectors here are of no use
    block = std::min(block, std::max<std::size_t>(1, flat));
    for (const std::size_t alignment : {std::size_t{0}, width, width / 2}) {
      if (alignment == 1) continue;
      const auto layout = StripLayout::of(window, block * width, width, alignment);
      if (!layout || channels == 0) continue;
      const std::size_t most = std::min(kPanelAim, kSparsePanelFloats - block * width) / layout->channel_floats;
      if (most == 0) continue;
      const std::size_t tiles = (channels + most - 1) / most;
      // of two alignments that come to the same, the larger
      const bool same = alignment == width / 2 && layout->pitch % static_cast<int>(width) == 0;
      if (!same) {
        add_new(list, {.vectors = static_cast<int>(block),
                       .k_tile = (channels + tiles - 1) / tiles * taps,
                       .strip = true,
                       .alignment = alignment});
      }
    }
  }
  for (const SparseVariant& variant : candidates(zeros, k, taps, window.lanes(), isa)) add_new(list, variant);
  return list;
}

std::vector<SparseVariant> SparseColumns::candidates(double zeros, std::size_t k, std::size_t taps, std::size_t lanes,
                                                     Isa isa) {
  const auto width = static_cast<std::size_t>(sparse_kernels(isa).width);
  const std::size_t vectors = std::max<std::size_t>(1, (lanes + width - 1) / width);
  const auto variant = [&](std::size_t block) {
    block = std::min({block, vectors, static_cast<std::size_t>(kSparseVectors)});
    std::size_t k_tile = kPanelAim / (block * width);
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
  std::vector<SparseVariant> list;
  for (const std::size_t block : blocks_worth_timing(zeros)) add_new(list, variant(block));
  return list;
}

std::size_t SparseColumns::bytes() const noexcept {
  return steps_.size() * sizeof(SparseStep) + half_steps_.size() * sizeof(SparseHalfStep) +
         row_list_.size() * sizeof(std::uint32_t) + runs_.size() * sizeof(SparseRun) +
         tiles_.size() * sizeof(SparseTile);
}

void SparseColumns::run(const ColumnInput& input, std::size_t lane_begin, std::size_t lane_end, float* y,
                        std::size_t y_stride, const Epilogue& epilogue) const noexcept {
  const SparsePack pack{tiles_.data(),    tiles_.size(),
                        steps_.data(),    variant_.storage == WeightStorage::bf16 ? half_steps_.data() : nullptr,
                        row_list_.data(), runs_.data(),
                        variant_.vectors, strip_ ? &*strip_ : nullptr};
  kernels_->columns(pack, input, lane_begin, lane_end, y, y_stride, epilogue);
}

}  // namespace sparse_run::cpu
