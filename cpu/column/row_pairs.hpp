// Which rows of sparse weights to compute together: pairs that multiply the same operands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sparse_run::cpu {

/// Two rows, the first with no fewer entries than the second. A row that is left over is paired with itself.
struct RowPair {
  std::uint32_t first = 0, second = 0;
  /// Columns where both have an entry, ascending: for the one load of the operand that two rows then need. All pairs of
  /// a call list equally many, or none; what two rows have in common besides is not listed.
  std::vector<std::uint32_t> shared;

  bool alone() const noexcept { return first == second; }
};

/// Pairs all rows, so that much is shared while loops over pairs have few different lengths. `columns[row]` lists the
/// columns of a row's entries, ascending and below `width`. Takes time in proportion to rows × width.
std::vector<RowPair> pair_rows(std::span<const std::span<const std::uint32_t>> columns, std::size_t width);

}  // namespace sparse_run::cpu
