// Picks the table of column kernels of an instruction set, and the kernels that need no compiled weights.
#include "cpu/column/kernels.hpp"

#include "cpu/column/depthwise.hpp"
#include "cpu/column/transpose.hpp"

namespace sparse_run::cpu {

const ColumnKernels& column_kernels(Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kAvx512ColumnKernels;
  if (isa == Isa::avx2) return kAvx2ColumnKernels;
#endif
  (void)isa;
  return kPortableColumnKernels;
}

void run_depthwise(const DepthwiseCall& call, Isa isa) noexcept { column_kernels(isa).depthwise(call); }

void run_transpose(const float* in, std::size_t in_stride, std::size_t rows, std::size_t columns, float* out,
                   std::size_t out_stride, Isa isa) noexcept {
  column_kernels(isa).transpose(in, in_stride, rows, columns, out, out_stride);
}

}  // namespace sparse_run::cpu
