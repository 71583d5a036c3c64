// The parts that the elementwise and reduction families of reference kernels are split into, one file each.
#pragma once

#include "cpu/reference/reference.hpp"

namespace sparse_run::reference {

// Parts of register_elementwise.
void register_arithmetic(Table& table);
void register_activation(Table& table);
void register_cast(Table& table);
void register_constant(Table& table);
void register_quantization(Table& table);
void register_strings(Table& table);

// Parts of register_reduction.
void register_reduce(Table& table);
void register_scan(Table& table);
void register_normalization(Table& table);
void register_loss(Table& table);
void register_optimizer(Table& table);

}  // namespace sparse_run::reference
