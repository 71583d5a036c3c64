// The blocked kernels for AVX-512.
#include "cpu/dense/blocked_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const BlockedKernels kAvx512BlockedKernels = make_blocked_kernels<Avx512>(Isa::avx512);

}  // namespace sparse_run::cpu
#endif
