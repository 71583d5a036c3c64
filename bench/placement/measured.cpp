// Opening the devices of a topology.
#include "bench/placement/measured.hpp"

#include <algorithm>

#include "cpu/device.hpp"
#include "gpu/emulated/emulated_gpu.hpp"

namespace sparse_run::bench {

bool can_run(const Topology& topology) {
  const HostSpec& host = topology.hosts.front();
  return std::all_of(host.devices.begin(), host.devices.end(),
                     [](const DeviceSpec& device) { return device.kind == DeviceKind::cpu || device.emulated; });
}

std::vector<std::shared_ptr<Device>> open_devices(const Topology& topology) {
  const Machine machine = discover_machine();
  const auto cpu = cpu::make_cpu_device(machine);
  std::vector<std::shared_ptr<Device>> devices = {cpu};
  const HostSpec& host = topology.hosts.front();
  for (const DeviceSpec& spec : host.devices) {
    if (!spec.emulated) continue;
    const LinkSpec link = host.link(host.cpu().name, spec.name);
    gpu::EmulatedGpuOptions options;
    options.name = spec.name;
    options.memory_bytes = spec.memory_bytes;
    options.flops_per_s = spec.dense_gflops * 1e9;
    options.memory_bytes_per_s = spec.memory_gb_per_s * 1e9;
    options.launch_s = spec.launch_us * 1e-6;
    options.dispatch_s = spec.dispatch_us * 1e-6;
    options.replay_bytes = std::size_t{256} << 20;
    options.copy_bytes_per_s = link.gb_per_s * 1e9;
    options.copy_latency_s = link.latency_us * 1e-6;
    devices.push_back(std::make_shared<gpu::EmulatedGpu>(options, cpu));
  }
  return devices;
}

}  // namespace sparse_run::bench
