// The row kernels for portable.
#include "cpu/row/row_kernels_impl.hpp"

namespace sparse_run::cpu {

constinit const RowKernels kPortableRowKernels = make_row_kernels<Portable>();

}  // namespace sparse_run::cpu
