// What makes two layers equal for the choice of a kernel.
#pragma once

#include <cstdint>
#include <string>

#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// Operator, attributes, operand and result types, which operands are constant, threads, and of weights the share of
/// zeros (in steps of a twelfth of an octave of the non-zeros) with the kind of structure: how uneven rows and columns
/// are, and whether non-zeros stand together. Values do not count, names neither.
std::string layer_signature(const NodeView& view, const Environment& environment);

}  // namespace sparse_run::cpu
