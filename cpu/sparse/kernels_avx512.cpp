// The sparse kernels for AVX-512.
#include "cpu/sparse/kernels_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const SparseKernels kAvx512SparseKernels = make_sparse_kernels<Avx512>(Isa::avx512);

}  // namespace sparse_run::cpu
#endif
