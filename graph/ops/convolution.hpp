// Registration of the parts of the convolution family, one function per source file.
#pragma once

#include "graph/ops/schema.hpp"

namespace sparse_run {

void register_pooling_ops(OpRegistry& registry);  // MaxPool, AveragePool, LpPool, Global*, MaxUnpool, RoI

}  // namespace sparse_run
