// The bitmap kernels for AVX-512.
#include "cpu/sparse/bitmap_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const BitmapKernels kAvx512BitmapKernels = make_bitmap_kernels<Avx512>(Isa::avx512);

}  // namespace sparse_run::cpu
#endif
