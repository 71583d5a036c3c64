// An NVIDIA GPU as a device of sparse-run.
#pragma once

#include <memory>
#include <string>

#include "device/device.hpp"
#include "gpu/cuda/gpu.hpp"

namespace sparse_run::gpu::cuda {

/// Opens GPU `index` with the libraries of this machine. Error(device) says what is missing.
std::shared_ptr<Device> open_cuda_device(int index, const GpuOptions& options = {});

/// The same with given libraries: tests give ones that run on the host.
std::shared_ptr<Device> open_cuda_device(const Libraries& libraries, int index, const GpuOptions& options);

/// What a GPU is, without keeping it: for topologies. Error(device) says what is missing.
GpuFacts describe_gpu(int index);

/// GPUs of this machine. Error(device) says what is missing when there cannot be any.
int count_gpus();

/// The number in "gpu:N". Error(usage) for another name.
int gpu_index(const std::string& name);

}  // namespace sparse_run::gpu::cuda
