// Whether a weight has an N:M pattern, for the kernels that gain from it.
#pragma once

#include "cpu/selection/weight_facts.hpp"
#include "cpu/sparse/groups.hpp"

namespace sparse_run::cpu {

/// The pattern along the other dimension of the product's rows, which are dimension 0 of the weight (`rows_first`) or
/// its columns. Weights whose share of zeros fits no pattern are not looked at any closer.
std::optional<GroupPattern> group_pattern(const WeightFacts& weight, bool rows_first);

}  // namespace sparse_run::cpu
