// Picks the table of strip kernels of an instruction set.
#include "cpu/column/strip.hpp"

namespace sparse_run::cpu {

const StripKernels& strip_kernels(Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kAvx512StripKernels;
  if (isa == Isa::avx2) return kAvx2StripKernels;
#endif
  (void)isa;
  return kPortableStripKernels;
}

}  // namespace sparse_run::cpu
