// The block kernels for AVX2.
#include "cpu/sparse/blocks_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const SparseBlockKernels kAvx2SparseBlockKernels = make_sparse_block_kernels<Avx2>(Isa::avx2);

}  // namespace sparse_run::cpu
#endif
