// Reference kernels: reduction operators.
#include "cpu/reference/reference.hpp"

namespace sparse_run::reference {

void register_reduction(Table& table) { static_cast<void>(table); }

}  // namespace sparse_run::reference
