// Registration of the parts of the convolution and matrix families, one function per source file.
#pragma once

#include "cpu/reference/reference.hpp"

namespace sparse_run::reference {

void register_pooling(Table& table);    // MaxPool, AveragePool, LpPool, Global*, MaxUnpool, RoI
void register_quantized(Table& table);  // ConvInteger, QLinearConv, MatMulInteger, QLinearMatMul

}  // namespace sparse_run::reference
