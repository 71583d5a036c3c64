// The strip kernels for any processor.
#include "cpu/column/strip_kernels_impl.hpp"

namespace sparse_run::cpu {

constinit const StripKernels kPortableStripKernels = make_strip_kernels<Portable>(Isa::portable);

}  // namespace sparse_run::cpu
