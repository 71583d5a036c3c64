// For the conformance suite: the devices it runs on.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "gpu/cuda/device.hpp"
#include "gpu/emulated/faults.hpp"
#include "tests/cuda/host/host_cuda.hpp"
#include "tests/device/trial.hpp"

namespace sparse_run {

/// A device with memory of its own, freshly opened, and the CPU to compare with. Faults are nullptr where they cannot
/// be injected.
struct OpenDevice {
  std::shared_ptr<Device> cpu;
  std::shared_ptr<Device> device;
  gpu::Faults* faults = nullptr;
};

/// An entry of the suite: add one for each kind of device.
struct DeviceUnderTest {
  std::string name;
  std::function<OpenDevice(std::size_t memory_bytes)> open;

  friend void PrintTo(const DeviceUnderTest& device, std::ostream* out) { *out << device.name; }
};

inline DeviceUnderTest emulated_gpu_under_test() {
  return {"emulated", [](std::size_t memory_bytes) {
            gpu::EmulatedGpuOptions options;
            options.memory_bytes = memory_bytes;
            const TrialDevices devices(1, options);
            return OpenDevice{devices.cpu, devices.emulated[0], &devices.emulated[0]->faults()};
          }};
}

/// The CUDA device, all of it but the hardware: its libraries run on the host.
inline DeviceUnderTest cuda_under_test(std::string name, bool memory_pools, bool graphs) {
  return {std::move(name), [=](std::size_t memory_bytes) {
            host_cuda::HostGpuOptions host;
            host.memory_pools = memory_pools;
            const int index = host_cuda::add_host_gpu(host);
            gpu::cuda::GpuOptions options;
            options.memory_bytes = memory_bytes;
            options.graphs = graphs;
            options.generated = false;  // compiling takes long; chains have tests of their own
            const TrialDevices devices(0);
            return OpenDevice{devices.cpu, gpu::cuda::open_cuda_device(host_cuda::host_libraries(), index, options),
                              &host_cuda::faults_of(index)};
          }};
}

inline auto devices_with_faults() {
  return testing::Values(emulated_gpu_under_test(), cuda_under_test("cuda", true, false),
                         cuda_under_test("cuda_graphs", true, true));
}

/// A real GPU, when the environment variable SPARSE_RUN_TEST_GPU gives its number.
inline void add_tested_gpu(std::vector<DeviceUnderTest>& devices) {
  const char* index = std::getenv("SPARSE_RUN_TEST_GPU");
  if (index == nullptr) return;
  devices.push_back({"hardware", [gpu = std::atoi(index)](std::size_t memory_bytes) {
                       gpu::cuda::GpuOptions options;
                       options.memory_bytes = memory_bytes;
                       const TrialDevices trial(0);
                       return OpenDevice{trial.cpu, gpu::cuda::open_cuda_device(gpu, options)};
                     }});
}

inline auto devices_under_test() {
  std::vector<DeviceUnderTest> devices{emulated_gpu_under_test(), cuda_under_test("cuda", true, false),
                                       cuda_under_test("cuda_graphs", true, true),
                                       cuda_under_test("cuda_without_pools", false, false)};
  add_tested_gpu(devices);
  return testing::ValuesIn(devices);
}

}  // namespace sparse_run
