// Schemas and type inference: control operators.
#include "graph/ops/schema.hpp"

namespace sparse_run {

void register_control_ops(OpRegistry& registry) { static_cast<void>(registry); }

}  // namespace sparse_run
