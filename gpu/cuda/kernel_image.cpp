// Taking the compiled kernels, and a header for those generated later, into the executable.
#include "gpu/cuda/kernel_image.hpp"

// Both files are bytes for the assembler; CMake makes this object depend on them.
asm(R"(
  .section .rodata
  .balign 16
  .local sparse_run_scalar_math
sparse_run_scalar_math:
  .incbin ")" SPARSE_RUN_SCALAR_MATH R"("
  .byte 0
  .balign 16
)"
#if defined(SPARSE_RUN_CUDA_IMAGE)
    R"(
  .local sparse_run_cuda_image
sparse_run_cuda_image:
  .incbin ")" SPARSE_RUN_CUDA_IMAGE R"("
  .balign 16
)"
#endif
    R"(
  .previous
)");

extern "C" const char sparse_run_scalar_math[];
#if defined(SPARSE_RUN_CUDA_IMAGE)
extern "C" const unsigned char sparse_run_cuda_image[];
#endif

namespace sparse_run::gpu::cuda {

KernelImage kernel_image() {
#if defined(SPARSE_RUN_CUDA_IMAGE)
  // Images of a major version need a driver of that version.
  return {sparse_run_cuda_image, 1000 * SPARSE_RUN_CUDA_MAJOR};
#else
  return {};
#endif
}

const char* scalar_math_source() { return sparse_run_scalar_math; }

}  // namespace sparse_run::gpu::cuda
