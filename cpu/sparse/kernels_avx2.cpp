// The sparse kernels for AVX2 with FMA.
#include "cpu/sparse/kernels_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const SparseKernels kAvx2SparseKernels = make_sparse_kernels<Avx2>(Isa::avx2);

}  // namespace sparse_run::cpu
#endif
