// The N:M kernels for AVX2.
#include "cpu/sparse/group_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const GroupKernels kAvx2GroupKernels = make_group_kernels<Avx2>(Isa::avx2);

}  // namespace sparse_run::cpu
#endif
