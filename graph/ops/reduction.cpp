// Schemas and type inference of the reduction family: the list of its parts.
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

void register_reduction_ops(OpRegistry& registry) {
  register_reduce_ops(registry);
  register_scan_ops(registry);
  register_normalization_ops(registry);
  register_loss_ops(registry);
  register_optimizer_ops(registry);
}

}  // namespace sparse_run
