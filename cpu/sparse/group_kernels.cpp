// Picks the table of N:M kernels of an instruction set.
#include "cpu/sparse/group_kernels.hpp"

namespace sparse_run::cpu {

const GroupKernels& group_kernels(Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kAvx512GroupKernels;
  if (isa == Isa::avx2) return kAvx2GroupKernels;
#endif
  (void)isa;
  return kPortableGroupKernels;
}

}  // namespace sparse_run::cpu
