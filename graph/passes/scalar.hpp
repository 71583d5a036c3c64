// Reads single numbers out of constants.
#pragma once

#include <optional>

#include "graph/ir/tensor.hpp"

namespace sparse_run {

/// The number held by a tensor of one element, of any rank and arithmetic type; nullopt otherwise and for nullptr.
std::optional<double> scalar_of(const Tensor* tensor);

/// True when every element of a float tensor equals `value`; false for other types and for nullptr.
bool all_equal(const Tensor* tensor, double value);

/// True when a constant is `expected` to within the precision of a 16-bit float as exporters round it.
bool nearly(std::optional<double> value, double expected);

}  // namespace sparse_run
