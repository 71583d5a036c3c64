// Picks the table of block kernels of an instruction set.
#include "cpu/sparse/block_kernels.hpp"

namespace sparse_run::cpu {

const SparseBlockKernels& sparse_block_kernels(Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kAvx512SparseBlockKernels;
  if (isa == Isa::avx2) return kAvx2SparseBlockKernels;
#endif
  (void)isa;
  return kPortableSparseBlockKernels;
}

}  // namespace sparse_run::cpu
