// A GPU that lives on threads of the host: everything about a second device but its speed is real.
#pragma once

#include <memory>
#include <string>

#include "device/device.hpp"
#include "gpu/emulated/faults.hpp"

namespace sparse_run::gpu {

/// What is emulated. A rate of 0 means: as fast as the host does it.
struct EmulatedGpuOptions {
  std::string name = "emulated:0";
  std::size_t memory_bytes = std::size_t{4} << 30;
  int threads = 1;                ///< that compute its kernels, in an arena of their own
  double flops_per_s = 0;         ///< dense: zeros are multiplied like any number
  double memory_bytes_per_s = 0;  ///< operands and results of each layer
  double launch_s = 0;            ///< per layer
  double dispatch_s = 0;          ///< per partition
  double copy_bytes_per_s = 0;    ///< of each direction
  double copy_latency_s = 0;      ///< per copy
  double relative_error = 0;      ///< every second f32 result is off by this share, like a less precise unit
  /// Operands and results of a partition that are remembered, so that the same operands need no arithmetic again and
  /// the device may be faster than the host it is emulated on; 0: everything is computed.
  std::size_t replay_bytes = 0;
  bool scribble_on_release = false;  ///< freed memory becomes not-a-number: for tests
};

/// Decorates a device that computes in host memory, whose kernels it runs on memory that nobody else can touch. One
/// thread per stream: computing, copying in, copying out. Values of unknown size, strings, sequences and operators
/// with bodies are refused. Thread-safe.
class EmulatedGpu final : public Device {
 public:
  /// Error(device) when the memory cannot be mapped.
  EmulatedGpu(const EmulatedGpuOptions& options, std::shared_ptr<Device> kernels);
  ~EmulatedGpu() override;

  std::string name() const override;
  std::string description() const override;
  std::size_t memory_bytes() const override;
  DeviceMemory* memory() override;
  std::string refusal(const Graph& graph, const Node& node) const override;
  std::unique_ptr<Executable> compile(const Partition& partition, const CompileOptions& options) override;

  Faults& faults();
  const EmulatedGpuOptions& options() const;

 private:
  class Compiled;
  struct Core;
  std::shared_ptr<Core> core_;  // shared with executables, which may outlive the device
};

}  // namespace sparse_run::gpu
