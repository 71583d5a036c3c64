// The equation of an Einsum, resolved against operand shapes: which index runs along which dimension.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/shape.hpp"

namespace sparse_run {

/// Indices are numbered from 0; dimensions under an ellipsis get indices of their own, aligned at their right end.
struct EinsumEquation {
  std::vector<std::vector<std::size_t>> operands;  ///< index of every dimension of every operand
  std::vector<std::size_t> output;                 ///< index of every dimension of the result
  std::vector<std::int64_t> sizes;                 ///< of every index; -1: not known

  /// Error(model) for an equation that cannot be read or does not fit the shapes (sizes may be unknown, ranks not).
  static EinsumEquation parse(std::string_view equation, std::span<const Shape> shapes);

  Shape output_shape() const;
};

}  // namespace sparse_run
