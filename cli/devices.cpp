// Opening devices by name.
#include "cli/devices.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "cli/process_memory.hpp"
#include "cpu/device.hpp"
#include "cpu/selection/kernel_memory.hpp"
#include "gpu/absent.hpp"

namespace sparse_run::cli {

namespace {

constexpr double kDefaultShare = 0.8;
/// Most memory for models from strangers, unless --memory-limit says otherwise.
constexpr std::uint64_t kUntrustedBytes = std::uint64_t{4} << 30;

void check_device_name(const std::string& name, const char* option) {
  if (name == "cpu") return;
  if (name == "gpu" || name.starts_with("gpu:")) {
    throw_error(ErrorKind::device, "{} {}: {}", option, name, gpu::cuda_absence());
  }
  if (name == "emulated" || name.starts_with("emulated:")) {
    throw_error(ErrorKind::device, "{} {}: this build has no emulated device; choose cpu", option, name);
  }
  throw_error(ErrorKind::usage, "{} {}: no such device; see --list-devices", option, name);
}

}  // namespace

std::vector<std::shared_ptr<Device>> open_devices(const Options& options, const Machine& machine,
                                                  const Topology* topology) {
  if (topology != nullptr) {
    for (const std::string& name : options.devices) check_device_name(name, "--devices");
    if (options.devices.empty()) {
      for (const DeviceSpec& device : topology->hosts.front().devices) check_device_name(device.name, "--topology");
    }
  }
  for (const auto& [name, bytes] : options.memory_limits) check_device_name(name, "--memory-limit");
  cpu::CpuOptions cpu_options;
  cpu_options.timing_budget_s = options.kernel_timing;
  cpu_options.columns = options.columns == "off"      ? cpu::ColumnMode::off
                        : options.columns == "layers" ? cpu::ColumnMode::layers
                                                      : cpu::ColumnMode::automatic;
  cpu_options.cache_folder = cache_folder(options);
  return {cpu::make_cpu_device(machine, cpu_options)};
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
