// Picks the table of row kernels of an instruction set.
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

const RowKernels& row_kernels(Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kAvx512RowKernels;
  if (isa == Isa::avx2) return kAvx2RowKernels;
#endif
  (void)isa;
  return kPortableRowKernels;
}

const RowKernels& row_kernels() noexcept {
  static const RowKernels& active = row_kernels(active_isa());
  return active;
}

}  // namespace sparse_run::cpu
