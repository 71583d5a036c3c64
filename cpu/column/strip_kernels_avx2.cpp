// The strip kernels for AVX2.
#include "cpu/column/strip_kernels_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const StripKernels kAvx2StripKernels = make_strip_kernels<Avx2>(Isa::avx2);

}  // namespace sparse_run::cpu
#endif
