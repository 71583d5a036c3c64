// Which inputs are split into requests, and how long a request is.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/job.hpp"

namespace sparse_run::cli {

/// How given inputs become requests.
struct Batching {
  std::vector<bool> split;       ///< parallel to the ports
  std::int64_t rows = 0;         ///< rows in all; 0 unless is_job
  std::int64_t micro_batch = 0;  ///< rows of a request
  bool pad_last = false;
  bool is_job = false;
};

/// `types` are those of the given values, parallel to `ports`. A port with a fixed first dimension is split when more
/// rows than that were given; ports with a symbolic one when `micro_batch` is less than what was given: those that
/// share the symbol of the first such port, or have none and as many rows. Error(usage) when `micro_batch` contradicts
/// the model's fixed batch; Error(input) when inputs to split differ in length.
Batching plan_batching(const std::vector<Port>& ports, const std::vector<Type>& types,
                       const std::optional<std::int64_t>& micro_batch);

}  // namespace sparse_run::cli
