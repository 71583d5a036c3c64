// The row kernels for avx512.
#include "cpu/row/row_kernels_impl.hpp"

namespace sparse_run::cpu {

constinit const RowKernels kAvx512RowKernels = make_row_kernels<Avx512>();

}  // namespace sparse_run::cpu
