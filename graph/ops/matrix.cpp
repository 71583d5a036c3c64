// Schemas and type inference: matrix operators.
#include "graph/ops/schema.hpp"

namespace sparse_run {

void register_matrix_ops(OpRegistry& registry) { static_cast<void>(registry); }

}  // namespace sparse_run
