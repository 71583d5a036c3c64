// The sizes of an attention node and how its mask lies over the scores, whichever way its operands are laid out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cpu/step.hpp"

namespace sparse_run::cpu {

struct AttentionShape {
  std::int64_t batch = 0, queries = 0, keys = 0, heads = 0, width = 0, value_width = 0;
  float scale = 1;
  bool masked = false;
  std::int64_t mask_batch = 0, mask_head = 0, mask_query = 0;  ///< strides of the mask; 0 where it broadcasts
};

/// Scale and mask (operand 3) of a node whose sizes are known already; a reason when the mask broadcasts over keys.
std::optional<std::string> describe_mask(const NodeView& view, AttentionShape& shape);

}  // namespace sparse_run::cpu
