// Reference kernels of the elementwise family: the list of its parts.
#include "cpu/reference/subfamilies.hpp"

namespace sparse_run::reference {

void register_elementwise(Table& table) {
  register_arithmetic(table);
  register_activation(table);
  register_cast(table);
  register_constant(table);
  register_quantization(table);
  register_strings(table);
}

}  // namespace sparse_run::reference
