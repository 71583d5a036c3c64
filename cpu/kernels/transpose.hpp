// Transposes of matrices in f32: registered before the general copy along strides.
#pragma once

#include "cpu/kernel_table.hpp"

namespace sparse_run::cpu {

void register_transpose_kernels(KernelTable& table);

}  // namespace sparse_run::cpu
