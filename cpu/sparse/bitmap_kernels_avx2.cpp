// The bitmap kernels for AVX2.
#include "cpu/sparse/bitmap_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const BitmapKernels kAvx2BitmapKernels = make_bitmap_kernels<Avx2>(Isa::avx2);

}  // namespace sparse_run::cpu
#endif
