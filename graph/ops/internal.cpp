// Schemas and type inference: internal operators.
#include "graph/ops/schema.hpp"

namespace sparse_run {

void register_internal_ops(OpRegistry& registry) { static_cast<void>(registry); }

}  // namespace sparse_run
