// The program's own kernels, compiled beforehand and held in the executable.
#pragma once

namespace sparse_run::gpu::cuda {

/// A fat binary of kernels/kernels.cu for several architectures, with PTX for newer ones. `data` is nullptr in a build
/// without nvcc.
struct KernelImage {
  const void* data = nullptr;
  int least_driver = 0;  ///< version of the driver that can load it, 1000 · major + 10 · minor
};

KernelImage kernel_image();

/// The text of kernels/scalar_math.hpp, which generated kernels include under that name.
const char* scalar_math_source();

}  // namespace sparse_run::gpu::cuda
