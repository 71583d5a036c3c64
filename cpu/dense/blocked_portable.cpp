// The blocked kernels for any processor.
#include "cpu/dense/blocked_impl.hpp"

namespace sparse_run::cpu {

constinit const BlockedKernels kPortableBlockedKernels = make_blocked_kernels<Portable>(Isa::portable);

}  // namespace sparse_run::cpu
