// Picks the table of bitmap kernels of an instruction set.
#include "cpu/sparse/bitmap_kernels.hpp"

namespace sparse_run::cpu {

const BitmapKernels& bitmap_kernels(Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kAvx512BitmapKernels;
  if (isa == Isa::avx2) return kAvx2BitmapKernels;
#endif
  (void)isa;
  return kPortableBitmapKernels;
}

}  // namespace sparse_run::cpu
