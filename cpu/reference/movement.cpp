// Registers the reference kernels of movement operators.
#include "cpu/reference/movement.hpp"

namespace sparse_run::reference {

void register_movement(Table& table) {
  register_reshape(table);
  register_rearrange(table);
  register_slice_pad(table);
  register_gather(table);
  register_scatter(table);
  register_selection(table);
  register_suppression(table);
  register_feature(table);
  register_tree_ensemble(table);
}

}  // namespace sparse_run::reference
