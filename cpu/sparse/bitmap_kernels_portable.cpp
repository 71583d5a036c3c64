// The bitmap kernels for every processor.
#include "cpu/sparse/bitmap_impl.hpp"

namespace sparse_run::cpu {

constinit const BitmapKernels kPortableBitmapKernels = make_bitmap_kernels<Portable>(Isa::portable);

}  // namespace sparse_run::cpu
