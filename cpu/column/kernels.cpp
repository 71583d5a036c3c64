// Picks the table of column kernels of an instruction set.
#include "cpu/column/kernels.hpp"

namespace sparse_run::cpu {

const ColumnKernels& column_kernels(Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kAvx512ColumnKernels;
  if (isa == Isa::avx2) return kAvx2ColumnKernels;
#endif
  (void)isa;
  return kPortableColumnKernels;
}

}  // namespace sparse_run::cpu
