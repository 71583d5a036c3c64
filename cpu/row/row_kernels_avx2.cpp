// The row kernels for avx2.
#include "cpu/row/row_kernels_impl.hpp"

namespace sparse_run::cpu {

constinit const RowKernels kAvx2RowKernels = make_row_kernels<Avx2>();

}  // namespace sparse_run::cpu
