// The N:M kernels for AVX-512.
#include "cpu/sparse/group_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const GroupKernels kAvx512GroupKernels = make_group_kernels<Avx512>(Isa::avx512);

}  // namespace sparse_run::cpu
#endif
