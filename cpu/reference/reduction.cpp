// Reference kernels of the reduction family: the list of its parts.
#include "cpu/reference/subfamilies.hpp"

namespace sparse_run::reference {

void register_reduction(Table& table) {
  register_reduce(table);
  register_scan(table);
  register_normalization(table);
  register_loss(table);
  register_optimizer(table);
}

}  // namespace sparse_run::reference
