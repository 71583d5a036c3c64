// Schemas and type inference: elementwise operators.
#include "graph/ops/schema.hpp"

namespace sparse_run {

void register_elementwise_ops(OpRegistry& registry) { static_cast<void>(registry); }

}  // namespace sparse_run
