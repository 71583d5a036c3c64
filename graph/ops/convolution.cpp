// Schemas and type inference: convolution operators.
#include "graph/ops/schema.hpp"

namespace sparse_run {

void register_convolution_ops(OpRegistry& registry) { static_cast<void>(registry); }

}  // namespace sparse_run
