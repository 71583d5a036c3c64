// The N:M kernels for every processor.
#include "cpu/sparse/group_impl.hpp"

namespace sparse_run::cpu {

constinit const GroupKernels kPortableGroupKernels = make_group_kernels<Portable>(Isa::portable);

}  // namespace sparse_run::cpu
