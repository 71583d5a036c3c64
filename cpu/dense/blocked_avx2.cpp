// The blocked kernels for AVX2 with FMA.
#include "cpu/dense/blocked_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const BlockedKernels kAvx2BlockedKernels = make_blocked_kernels<Avx2>(Isa::avx2);

}  // namespace sparse_run::cpu
#endif
