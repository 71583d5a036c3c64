// Which elementwise operators are one function of one or two operands: shared by kernels on rows and on strips.
#pragma once

#include <optional>
#include <string_view>

#include "cpu/row/row_kernels.hpp"
#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// The activation a standalone node computes; nullopt when it is none of ours or its parameters are not constant.
std::optional<Activation> map_activation(const NodeView& view);

/// The function of Add, Sub, Mul, Div, Min, Max, Sum.
std::optional<Binary> binary_named(std::string_view op);

}  // namespace sparse_run::cpu
