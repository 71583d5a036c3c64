// Where a padded axis reads from: the rule that the oracle and the fast kernel share.
#pragma once

#include <cstdint>
#include <string_view>

namespace sparse_run::reference {

/// Where coordinate `at` (0: the operand's first element) of a padded axis reads from an axis of `dim` elements; -1:
/// from the constant. `mode` is Pad's attribute.
std::int64_t padded_source(std::string_view mode, std::int64_t at, std::int64_t dim);

}  // namespace sparse_run::reference
