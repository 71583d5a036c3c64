// Schemas and type inference: movement operators.
#include "graph/ops/schema.hpp"

namespace sparse_run {

void register_movement_ops(OpRegistry& registry) { static_cast<void>(registry); }

}  // namespace sparse_run
