// Schemas and type inference of the elementwise family: the list of its parts.
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

void register_elementwise_ops(OpRegistry& registry) {
  register_arithmetic_ops(registry);
  register_activation_ops(registry);
  register_cast_ops(registry);
  register_constant_ops(registry);
  register_quantization_ops(registry);
  register_string_ops(registry);
}

}  // namespace sparse_run
