// Schemas and type inference: reduction operators.
#include "graph/ops/schema.hpp"

namespace sparse_run {

void register_reduction_ops(OpRegistry& registry) { static_cast<void>(registry); }

}  // namespace sparse_run
