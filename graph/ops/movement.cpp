// Registers the movement operators: what changes where elements are, not what they are.
#include "graph/ops/movement.hpp"

namespace sparse_run {

void register_movement_ops(OpRegistry& registry) {
  register_reshape_ops(registry);
  register_rearrange_ops(registry);
  register_slice_pad_ops(registry);
  register_gather_scatter_ops(registry);
  register_selection_ops(registry);
  register_feature_ops(registry);
}

}  // namespace sparse_run
