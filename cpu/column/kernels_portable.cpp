// The column kernels for any processor.
#include "cpu/column/kernels_impl.hpp"

namespace sparse_run::cpu {

constinit const ColumnKernels kPortableColumnKernels = make_column_kernels<Portable>(Isa::portable);

}  // namespace sparse_run::cpu
