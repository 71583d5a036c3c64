// Registers the reference kernels of control operators.
#include "cpu/reference/control.hpp"

namespace sparse_run::reference {

void register_control(Table& table) {
  register_flow(table);
  register_sequence(table);
  register_recurrent(table);
  register_random(table);
}

}  // namespace sparse_run::reference
