// Random tensors for inputs that nobody gave.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "graph/ir/tensor.hpp"

namespace sparse_run::cli {

/// The range of NAME=random:LO,HI.
struct RandomRange {
  double low = 0;
  double high = 1;
};

/// "LO,HI" with LO <= HI, both finite. Error(usage) otherwise.
RandomRange parse_range(std::string_view text);

/// Depends on seed, name and shape only. Floats are uniform in [low, high), by default [-1, 1). Integers are uniform
/// in low…high, both included, by default 0…1: any embedding table or mask accepts those. Booleans are either;
/// strings are decimal digits. Error(input) for types that only a file can give.
Tensor random_tensor(DType dtype, const Shape& shape, std::uint64_t seed, std::string_view name,
                     const std::optional<RandomRange>& range);

}  // namespace sparse_run::cli
