// CPU kernels: pooling.
#include "cpu/kernel_table.hpp"

namespace sparse_run::cpu {

void register_pooling_kernels(KernelTable& table) { static_cast<void>(table); }

}  // namespace sparse_run::cpu
