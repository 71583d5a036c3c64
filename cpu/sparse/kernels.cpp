// Picks the table of sparse kernels of an instruction set.
#include "cpu/sparse/kernels.hpp"

namespace sparse_run::cpu {

const SparseKernels& sparse_kernels(Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kAvx512SparseKernels;
  if (isa == Isa::avx2) return kAvx2SparseKernels;
#endif
  (void)isa;
  return kPortableSparseKernels;
}

}  // namespace sparse_run::cpu
