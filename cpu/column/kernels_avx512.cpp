// The column kernels for AVX-512.
#include "cpu/column/kernels_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const ColumnKernels kAvx512ColumnKernels = make_column_kernels<Avx512>(Isa::avx512);

}  // namespace sparse_run::cpu
#endif
