// Opening devices by name.
#include "cli/devices.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "cli/process_memory.hpp"
#include "cpu/dense/bf16_matmul.hpp"
#include "cpu/device.hpp"
#include "cpu/selection/kernel_memory.hpp"
#include "gpu/cuda/device.hpp"
#include "gpu/emulated/emulated_gpu.hpp"

namespace sparse_run::cli {

namespace {

constexpr double kDefaultShare = 0.8;
/// Most memory for models from strangers, unless --memory-limit says otherwise.
constexpr std::uint64_t kUntrustedBytes = std::uint64_t{4} << 30;

/// Per partition of an emulated device: enough for the activations of a large request.
constexpr std::size_t kReplayBytes = std::size_t{256} << 20;

void check_device_name(const std::string& name, const char* option) {
  if (name == "cpu" || name.starts_with("emulated:")) return;
  if (name.starts_with("gpu:")) {
    with_context([&] { return option; }, [&] { gpu::cuda::gpu_index(name); });
    return;
  }
  throw_error(ErrorKind::usage, "{} {}: no such device; see --list-devices", option, name);
}

gpu::EmulatedGpuOptions emulation_of(const DeviceSpec& device, const HostSpec& host) {
  constexpr double kGiga = 1e9;
  constexpr double kMicro = 1e-6;
  const LinkSpec link = host.link(host.cpu().name, device.name);
  gpu::EmulatedGpuOptions emulation;
  emulation.name = device.name;
  emulation.memory_bytes = device.memory_bytes;
  emulation.flops_per_s = device.dense_gflops * kGiga;
  emulation.memory_bytes_per_s = device.memory_gb_per_s * kGiga;
  emulation.launch_s = device.launch_us * kMicro;
  emulation.dispatch_s = device.dispatch_us * kMicro;
  emulation.copy_bytes_per_s = link.gb_per_s * kGiga;
  emulation.copy_latency_s = link.latency_us * kMicro;
  emulation.relative_error = device.relative_error;
  emulation.replay_bytes = kReplayBytes;
  return emulation;
}

gpu::cuda::GpuOptions gpu_options(const Options& options, const std::string& name,
                                  const std::function<void(const std::string&)>& notice,
                                  const std::shared_ptr<DeviceRemarks>& remarks) {
  gpu::cuda::GpuOptions chosen;
  for (const auto& [given, bytes] : options.memory_limits) {
    if (full_device_name(given) == name) chosen.memory_bytes = bytes;
  }
  chosen.precision = options.precision;
  chosen.notice = notice;
  chosen.remark = [remarks](const std::string& partition, const std::vector<std::string>& texts) {
    remarks->set(partition, texts);  // shared: devices may outlive the run that opened them
  };
  return chosen;
}

}  // namespace

DeviceSpec discover_gpu(const std::string& name) {
  // Shares of the data sheet that large layers are expected to reach, until they are measured.
  constexpr double kDenseShare = 0.7;
  constexpr double kSparseShare = 0.1;
  constexpr double kMemoryShare = 0.8;
  const gpu::cuda::GpuFacts facts = gpu::cuda::describe_gpu(gpu::cuda::gpu_index(name));
  DeviceSpec device;
  device.name = name;
  device.kind = DeviceKind::gpu;
  device.memory_bytes = facts.memory_bytes;
  device.dense_gflops = kDenseShare * facts.f32_flops_per_s() * 1e-9;
  device.sparse_gflops = kSparseShare * facts.f32_flops_per_s() * 1e-9;
  device.memory_gb_per_s = kMemoryShare * facts.memory_bytes_per_s() * 1e-9;
  device.launch_us = 5;
  device.dispatch_us = 10;
  return device;
}

std::string list_gpus() {
  std::string text;
  try {
    for (int index = 0; index < gpu::cuda::count_gpus(); ++index) {
      const gpu::cuda::GpuFacts facts = gpu::cuda::describe_gpu(index);
      text += fmt::format("gpu:{}: {}, compute capability {}.{}, {:.1f} GiB\n", index, facts.model, facts.major,
                          facts.minor, static_cast<double>(facts.memory_bytes) / (1 << 30));
    }
  } catch (const Error& error) {
    text += fmt::format("no GPU: {}\n", error.what());
  }
  return text;
}

std::string full_device_name(const std::string& name) {
  return name == "gpu" || name == "emulated" ? name + ":0" : name;
}

namespace {

/// The CPU multiplies in bf16 or f32, and so does what is emulated on it. `with_gpu`: a GPU is in use as well.
Precision cpu_precision(const Options& options, bool with_gpu, const std::function<void(const std::string&)>& notice) {
  switch (options.precision) {
    case Precision::f16:
      if (!with_gpu) {
        throw_error(ErrorKind::unsupported, "--precision f16: no device in use multiplies in f16; give bf16 or f32");
      }
      if (notice) notice("--precision f16: the CPU has no such arithmetic; its layers are computed in f32");
      return Precision::f32;
    case Precision::tf32:
      if (notice) notice("--precision tf32: CPUs have no such arithmetic; computed in f32, which is more precise");
      return Precision::f32;
    case Precision::bf16:
      if (!cpu::has_bf16_products() && notice) {
        notice(
            "--precision bf16: the instruction sets in use multiply no bf16; sparse weights may be rounded to it, "
            "products "
            "are computed in f32");
      }
      return Precision::bf16;
    case Precision::f32:
      break;
  }
  return Precision::f32;
}

}  // namespace

std::vector<std::shared_ptr<Device>> open_devices(const Options& options, const Machine& machine,
                                                  const Topology* topology,
                                                  const std::function<void(const std::string&)>& notice,
                                                  const std::shared_ptr<DeviceRemarks>& remarks) {
  std::vector<std::string> wanted;
  if (topology != nullptr) {
    const HostSpec& host = topology->hosts.front();
    for (const std::string& name : options.devices) wanted.push_back(full_device_name(name));
    for (const std::string& name : wanted) {
      check_device_name(name, "--devices");
      if (name != "cpu" && host.find(name) == nullptr) {
        throw_error(ErrorKind::device, "--devices {}: the first host of --topology {} has no such device", name,
                    options.topology);
      }
    }
    if (wanted.empty()) {
      for (const DeviceSpec& device : host.devices) {
        // A topology's CPU is this machine's, whatever its name.
        if (device.kind == DeviceKind::cpu) continue;
        check_device_name(device.name, "--topology");
        wanted.push_back(device.name);
      }
    }
  }
  for (const auto& [given, bytes] : options.memory_limits) {
    const std::string name = full_device_name(given);
    check_device_name(name, "--memory-limit");
    if (topology != nullptr && name != "cpu" && std::find(wanted.begin(), wanted.end(), name) == wanted.end()) {
      throw_error(ErrorKind::usage, "--memory-limit {}: this device is not in use; name it in --devices", given);
    }
  }
  cpu::CpuOptions cpu_options;
  cpu_options.timing_budget_s = options.kernel_timing;
  cpu_options.columns = options.columns == "off"      ? cpu::ColumnMode::off
                        : options.columns == "layers" ? cpu::ColumnMode::layers
                                                      : cpu::ColumnMode::automatic;
  const bool with_gpu =
      std::any_of(wanted.begin(), wanted.end(), [](const std::string& name) { return name.starts_with("gpu:"); });
  cpu_options.precision = cpu_precision(options, with_gpu, notice);
  cpu_options.cache_folder = cache_folder(options);
  const auto cpu = cpu::make_cpu_device(machine, cpu_options);
  std::vector<std::shared_ptr<Device>> devices{cpu};
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  for (const std::string& name : wanted) {
    if (name == "cpu") continue;
    const HostSpec& host = topology->hosts.front();
    if (name.starts_with("gpu:")) {
      devices.push_back(with_context([] { return "--devices"; },
                                     [&] {
                                       return gpu::cuda::open_cuda_device(gpu::cuda::gpu_index(name),
                                                                          gpu_options(options, name, notice, remarks));
                                     }));
      continue;
    }
    devices.push_back(std::make_shared<gpu::EmulatedGpu>(emulation_of(*host.find(name), host), cpu));
  }
  return devices;
}

std::filesystem::path cache_folder(const Options& options) {
  if (options.cache_dir == "none") return {};
  return options.cache_dir.empty() ? cpu::default_cache_folder() : std::filesystem::path(options.cache_dir);
}

std::uint64_t cpu_memory_limit(const Options& options) {
  for (const auto& [name, bytes] : options.memory_limits) {
    if (name == "cpu") return bytes;
  }
  const auto share = static_cast<std::uint64_t>(kDefaultShare * static_cast<double>(available_bytes()));
  return options.untrusted ? std::min(share, kUntrustedBytes) : share;
}

}  // namespace sparse_run::cli
