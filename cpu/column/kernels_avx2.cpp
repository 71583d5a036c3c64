// The column kernels for AVX2 with FMA.
#include "cpu/column/kernels_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const ColumnKernels kAvx2ColumnKernels = make_column_kernels<Avx2>(Isa::avx2);

}  // namespace sparse_run::cpu
#endif
