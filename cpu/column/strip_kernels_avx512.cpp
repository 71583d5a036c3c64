// The strip kernels for AVX-512.
#include "cpu/column/strip_kernels_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const StripKernels kAvx512StripKernels = make_strip_kernels<Avx512>(Isa::avx512);

}  // namespace sparse_run::cpu
#endif
