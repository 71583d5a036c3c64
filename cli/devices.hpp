// The devices of --devices, opened; and memory limits for them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "cli/device_remarks.hpp"
#include "cli/options.hpp"
#include "device/device.hpp"
#include "device/machine.hpp"
#include "partitioner/topology.hpp"

namespace sparse_run::cli {

/// The name of a device as people may shorten it: "emulated" is the first of its kind, as "gpu" is.
std::string full_device_name(const std::string& name);

/// What a GPU of this machine is, with rates estimated from its data sheet. Error(device) says what is missing.
DeviceSpec discover_gpu(const std::string& name);

/// A line per GPU of this machine, or one that says why there is none.
std::string list_gpus();

/// Devices that were named, or all of the topology; the CPU in any case, because it takes what others refuse. Emulated
/// ones get the rates, memory and links of the topology's first host. With nullptr, only those that need nothing but
/// this process, because nothing will run on the others. `notice` hears of precisions that are not there;
/// Error(unsupported) where nothing near is. Error(device) for one that is absent, saying what is missing;
/// Error(usage) for a name that is no device. `remarks` hears from devices after profiled executions.
std::vector<std::shared_ptr<Device>> open_devices(const Options& options, const Machine& machine,
                                                  const Topology* topology,
                                                  const std::function<void(const std::string&)>& notice,
                                                  const std::shared_ptr<DeviceRemarks>& remarks);

/// Where timings of kernels are kept: --cache-dir, else the user's cache folder; empty: nowhere.
std::filesystem::path cache_folder(const Options& options);

/// Bytes the CPU may use: --memory-limit, else 80% of what is available.
std::uint64_t cpu_memory_limit(const Options& options);

}  // namespace sparse_run::cli
