// For the conformance suite: the devices it runs on.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "gpu/emulated/faults.hpp"
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

}  // namespace sparse_run
