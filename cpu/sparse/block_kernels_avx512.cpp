// The block kernels for AVX-512.
#include "cpu/sparse/blocks_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const SparseBlockKernels kAvx512SparseBlockKernels = make_sparse_block_kernels<Avx512>(Isa::avx512);

}  // namespace sparse_run::cpu
#endif
