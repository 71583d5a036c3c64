// The refusal of a build without CUDA.
#include "gpu/absent.hpp"

namespace sparse_run::gpu {

std::string cuda_absence() {
  return "no CUDA device is compiled in: this version of sparse-run computes on CPUs only. One that has it needs an "
         "NVIDIA driver to run, and the CUDA Toolkit (Debian and Ubuntu: package nvidia-cuda-toolkit) to be built; "
         "until then leave the device out or choose cpu";
}

}  // namespace sparse_run::gpu
