// Recognises N:M patterns and lays their weights out by slices of rows.
#include "cpu/sparse/groups.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace sparse_run::cpu {

namespace {

constexpr double kWorthwhileFill = 0.9;

/// Most entries that a row has in a group of `of` columns.
int most_kept(const Csr& weights, std::size_t of) {
  int most = 0;
  for (std::size_t row = 0; row < weights.rows; ++row) {
    std::size_t group = weights.columns;
    int kept = 0;
    for (std::size_t i = weights.row_begin[row]; i < weights.row_begin[row + 1]; ++i) {
      const std::size_t own = weights.column[i] / of;
      kept = own == group ? kept + 1 : 1;
      group = own;
      most = std::max(most, kept);
    }
    if (most > static_cast<int>(of) / 2) break;
  }
  return most;
}

}  // namespace

std::optional<GroupPattern> SparseGroups::pattern_of(const Csr& weights) {
  std::optional<GroupPattern> best;
  double least = 0;
  for (const int of : {4, 8}) {
    const int kept = most_kept(weights, static_cast<std::size_t>(of));
    if (kept == 0 || kept > of / 2) continue;
    const std::size_t groups = (weights.columns + static_cast<std::size_t>(of) - 1) / static_cast<std::size_t>(of);
    const double stored = static_cast<double>(weights.rows * groups) * kept;
    if (static_cast<double>(weights.nnz()) < kWorthwhileFill * stored || (best && stored >= least)) continue;
    best = GroupPattern{kept, of};
    least = stored;
  }
  return best;
}

SparseGroups::SparseGroups(const Csr& weights, GroupPattern pattern, WeightStorage storage, Isa isa)
    : rows_(weights.rows), k_(weights.columns), nnz_(weights.nnz()), pattern_(pattern), kernels_(&group_kernels(isa)) {
  require((pattern.of == 4 || pattern.of == 8) && pattern.kept >= 1 && pattern.kept <= pattern.of / 2,
          "SparseGroups: no such pattern");
  const auto width = static_cast<std::size_t>(kernels_->width), of = static_cast<std::size_t>(pattern.of),
             kept = static_cast<std::size_t>(pattern.kept);
  const std::size_t groups = (k_ + of - 1) / of, entries = slices() * groups * kept, place_bytes = width * of / 16;
  places_.resize(entries * place_bytes);
  AlignedVector<float> values(entries * width);
  for (std::size_t row = 0; row < rows_; ++row) {
    const std::size_t slice = row / width, lane = row % width;
    std::size_t group = groups, entry = 0;
    for (std::size_t i = weights.row_begin[row]; i < weights.row_begin[row + 1]; ++i) {
      const std::size_t column = weights.column[i];
      entry = column / of == group ? entry + 1 : 0;
      group = column / of;
      require(entry < kept, "SparseGroups: weights outside their pattern");
      const std::size_t at = (slice * groups + group) * kept + entry;
      values[at * width + lane] = weights.value[i];
      const auto bit = static_cast<std::size_t>(kernels_->bit_of(pattern.of, static_cast<int>(lane)));
      places_[at * place_bytes + bit / 8] |= static_cast<std::uint8_t>((column % of) << bit % 8);
    }
  }
  if (storage == WeightStorage::bf16) {
    halves_.resize(values.size());
    std::ranges::transform(values, halves_.begin(), to_bf16);
  } else {
    weights_ = std::move(values);
  }
}

std::size_t SparseGroups::slices() const noexcept {
  const auto width = static_cast<std::size_t>(kernels_->width);
  return (rows_ + width - 1) / width;
}

std::size_t SparseGroups::bytes() const noexcept {
  return places_.size() + weights_.size() * sizeof(float) + halves_.size() * sizeof(std::uint16_t);
}

void SparseGroups::run(const float* x, std::size_t x_stride, std::size_t lanes, float* y, std::size_t y_stride,
                       const Epilogue& epilogue, std::size_t slice_begin, std::size_t slice_end) const noexcept {
  const GroupPack pack{
      rows_, k_, pattern_, places_.data(), weights_.data(), halves_.empty() ? nullptr : halves_.data()};
  kernels_->run(pack, slice_begin, slice_end, x, x_stride, lanes, y, y_stride, epilogue);
}

}  // namespace sparse_run::cpu
