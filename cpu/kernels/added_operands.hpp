// What a product's node adds to its result: a bias per column, or a residual.
#pragma once

#include <optional>
#include <string>

#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// Operands 2 and 3 of a Gemm or FusedMatMul whose result has `features` columns: which is the bias of [features]
/// values and which the residual of the result's shape (-1: none). A reason when they are neither.
std::optional<std::string> describe_added(const NodeView& view, std::int64_t features, int& bias, int& residual);

}  // namespace sparse_run::cpu
