// Asks for the pattern of weights that may have one.
#include "cpu/selection/group_pattern.hpp"

namespace sparse_run::cpu {

std::optional<GroupPattern> group_pattern(const WeightFacts& weight, bool rows_first) {
  const double density = 1 - weight.zeros();
  bool possible = false;
  for (const double share : {1.0 / 2, 3.0 / 8, 1.0 / 4, 1.0 / 8}) {
    // an incomplete last group may hold more than its share
    possible = possible || (density <= share * 1.05 && density >= share * 0.85);
  }
  if (!possible || weight.shape().size() != 2) return std::nullopt;
  return SparseGroups::pattern_of(rows_first ? weight.by_rows() : weight.by_columns());
}

}  // namespace sparse_run::cpu
