// Linear quantisation as the integer operators use it: scales and zero points that are scalars or run along an axis.
#pragma once

#include <vector>

#include "cpu/reference/reference.hpp"

namespace sparse_run::reference {

/// Rounds half to even, adds the zero point and saturates to `dtype` (u8 or i8).
std::int64_t requantize(double value, std::int64_t zero_point, DType dtype);

/// Elements of operand i minus its zero point (operand `zero`, absent: 0). A zero point of more than one element
/// runs along dimension `axis` of the operand, or has its rank and broadcasts to it. Error(model) for other shapes.
std::vector<std::int64_t> centred(const Context& context, std::size_t i, std::size_t zero, std::int64_t axis);

/// Parameter (scale or zero point, operand `p`) for each element of `shape` by the same rules.
std::vector<double> spread(const Context& context, std::size_t p, const Shape& shape, std::int64_t axis);

}  // namespace sparse_run::reference
