// Reference kernels: movement operators.
#include "cpu/reference/reference.hpp"

namespace sparse_run::reference {

void register_movement(Table& table) { static_cast<void>(table); }

}  // namespace sparse_run::reference
