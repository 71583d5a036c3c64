// Greedy pairing over bit sets of columns.
#include "cpu/column/row_pairs.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <iterator>
#include <numeric>

namespace sparse_run::cpu {

namespace {

/// Rows among which a partner is looked for: with four times as many, a twelfth more would be shared.
constexpr std::size_t kCandidates = 64;
/// Rows from which it is found out how much can be shared.
constexpr std::size_t kSampledRows = 32;

class Pairing {
 public:
  Pairing(std::span<const std::span<const std::uint32_t>> columns, std::size_t width)
      : columns_(columns), words_((width + 63) / 64), bits_(columns.size() * words_, 0), left_(columns.size()) {
    for (std::size_t row = 0; row < columns.size(); ++row) {
      for (const std::uint32_t column : columns[row]) {
        bits_[row * words_ + column / 64] |= std::uint64_t{1} << column % 64;
      }
    }
    std::iota(left_.begin(), left_.end(), 0u);
    std::stable_sort(left_.begin(), left_.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return columns[a].size() > columns[b].size(); });
  }

  /// Columns that pairs are to share, so that the most is shared in all, judged by a sample of rows.
  std::size_t worth_sharing() const {
    std::vector<std::size_t> most;
    const std::size_t step = std::max<std::size_t>(1, left_.size() / kSampledRows);
    for (std::size_t i = 0; i + 1 < left_.size(); i += step) {
      std::size_t best = 0;
      for (std::size_t j = i + 1; j < std::min(left_.size(), i + 1 + kCandidates); ++j) {
        best = std::max(best, shared_by(left_[i], left_[j]));
      }
      most.push_back(best);
    }
    std::sort(most.begin(), most.end(), std::greater<>());
    std::size_t worth = 0, all = 0;
    for (std::size_t rows = 1; rows <= most.size(); ++rows) {  // so many share at least that of the last one
      if (rows * most[rows - 1] <= all) continue;
      worth = most[rows - 1];
      all = rows * worth;
    }
    return worth;
  }

  /// Every row with the next one, by entries, that shares `wanted` columns, else with the next one.
  std::vector<RowPair> pairs(std::size_t wanted) {
    std::vector<RowPair> made;
    for (auto row = left_.begin(); row != left_.end(); ++row) {
      RowPair pair{*row, *row, {}};
      if (row + 1 != left_.end()) {
        const auto end = row + 1 + std::min<std::ptrdiff_t>(left_.end() - row - 1, kCandidates);
        auto partner = wanted == 0 ? end : std::find_if(row + 1, end, [&](std::uint32_t other) {
          return shared_by(*row, other) >= wanted;
        });
        const bool shares = partner != end;
        if (!shares) partner = row + 1;
        pair.second = *partner;
        if (shares) {
          const auto a = columns_[pair.first], b = columns_[pair.second];
          std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(pair.shared));
          pair.shared.resize(wanted);
        }
        std::rotate(row + 1, partner, partner + 1);  // it comes next and is passed over, the others keep their order
        ++row;
      }
      made.push_back(std::move(pair));
    }
    return made;
  }

 private:
  std::size_t shared_by(std::uint32_t a, std::uint32_t b) const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < words_; ++i) {
      count += static_cast<std::size_t>(std::popcount(bits_[a * words_ + i] & bits_[b * words_ + i]));
    }
    return count;
  }

  std::span<const std::span<const std::uint32_t>> columns_;
  std::size_t words_;
  std::vector<std::uint64_t> bits_;
  std::vector<std::uint32_t> left_;  ///< rows without a partner, those with many entries first
};

}  // namespace

std::vector<RowPair> pair_rows(std::span<const std::span<const std::uint32_t>> columns, std::size_t width) {
  Pairing pairing(columns, width);
  return pairing.pairs(pairing.worth_sharing());
}

}  // namespace sparse_run::cpu
