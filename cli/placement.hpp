// From options to a planner, and the answers that need a topology but no run.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/options.hpp"
#include "device/machine.hpp"
#include "partitioner/planner.hpp"

namespace sparse_run::cli {

using Notice = std::function<void(const std::string&)>;

/// Devices and links to plan for: the file of --topology, or this machine, with the GPUs and emulated devices that
/// --devices names. Error(usage) when the file is no topology, Error(device) for a GPU that is not there.
Topology topology_in_use(const Options& options, const Machine& machine, int threads);

/// Threads that compute: --threads, or every core.
int computing_threads(const Options& options, const Machine& machine);

/// What calibrations of this program on this machine are stored under.
std::string calibration_key(const Machine& machine, int threads);

/// Where the calibration is kept: in --cache-dir, or the user's cache folder; empty when nothing is to be kept.
std::filesystem::path calibration_path(const Options& options, const std::string& key);

/// The stored calibration; nullopt when there is none. A damaged one is a notice, and with --strict Error(usage).
std::optional<Calibration> usable_calibration(const Options& options, const std::string& key, const Notice& notice);

/// `refusal` says what devices cannot run, once they are open; `measure` may be empty: then predictions alone decide.
/// Error(usage) for a policy, pin, plan file, calibration or topology
/// that is none.
std::shared_ptr<PlacementPlanner> make_planner(const Options& options, const Machine& machine, int threads,
                                               const std::string& model_hash, const Notice& notice,
                                               DeviceRefusal refusal = {}, PlanMeasurer measure = {});

/// The text of --list-devices: what --topology or this machine has.
std::string list_topology(const Options& options, const Machine& machine);
std::string list_policies();
/// The text of --plan-diff.
std::string diff_plans(const std::string& a, const std::string& b);

/// A whole text file; Error(usage) naming `option` when it cannot be read or is larger than 256 MiB.
std::string read_text(const std::string& path, const char* option);

}  // namespace sparse_run::cli
