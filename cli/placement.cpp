// Preparing plans: files read, devices described, policies named.
#include "cli/placement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "base/error.hpp"
#include "cli/devices.hpp"
#include "cli/quantities.hpp"
#include "cli/text_table.hpp"
#include "cli/version.hpp"
#include "device/graphics.hpp"
#include "partitioner/plan_diff.hpp"

namespace sparse_run::cli {

namespace {

constexpr std::size_t kLargestText = std::size_t{256} << 20;

std::string memory_and_rates(const DeviceSpec& device) {
  return fmt::format("{}, {:.5g} GFLOP/s dense, {}, {:.4g} GB/s",
                     format_bytes(static_cast<double>(device.memory_bytes)), device.dense_gflops,
                     device.sparse_gflops > 0 ? fmt::format("{:.5g} on non-zeros", device.sparse_gflops)
                                              : std::string("no sparse kernels"),
                     device.memory_gb_per_s);
}

}  // namespace

std::string read_text(const std::string& path, const char* option) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw_error(ErrorKind::usage, "{} {}: cannot be read; check the path", option, path);
  std::string text;
  std::vector<char> block(1 << 16);
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0) {
    text.append(block.data(), static_cast<std::size_t>(file.gcount()));
    if (text.size() > kLargestText) throw_error(ErrorKind::usage, "{} {}: larger than 256 MiB", option, path);
  }
  if (file.bad()) throw_error(ErrorKind::usage, "{} {}: cannot be read", option, path);
  return text;
}

int computing_threads(const Options& options, const Machine& machine) {
  return options.threads > 0 ? options.threads : machine.cores;
}

Topology topology_in_use(const Options& options, const Machine& machine, int threads) {
  Topology topology = discover_topology(machine, threads);
  if (!options.topology.empty()) {
    return with_context(
        [&] { return "--topology " + options.topology; },
        [&] { return topology_from_json(read_text(options.topology, "--topology"), &topology.hosts.front().cpu()); });
  }
  HostSpec& host = topology.hosts.front();
  for (const std::string& named : options.devices) {
    const std::string name = full_device_name(named);
    if (name.starts_with("gpu:") && host.find(name) == nullptr) {
      host.devices.push_back(with_context([&] { return "--devices " + named; }, [&] { return discover_gpu(name); }));
      continue;
    }
    if (!name.starts_with("emulated:") || host.find(name) != nullptr) continue;
    int index = -1;
    const char* end = name.data() + name.size();
    const auto [stop, failure] = std::from_chars(name.data() + 9, end, index);
    if (failure != std::errc() || stop != end || index < 0 || index > 63) {
      throw_error(ErrorKind::usage, "--devices {}: emulated devices are called emulated:0 to emulated:63", named);
    }
    host.devices.push_back(default_emulated_device(host.cpu(), index));
  }
  return topology;
}

std::string calibration_key(const Machine& machine, int threads) {
  return calibration_machine_key(machine, threads,
                                 fmt::format("sparse-run {}, oneDNN {}", version(), onednn_version()));
}

std::filesystem::path calibration_path(const Options& options, const std::string& key) {
  if (options.cache_dir == "none") return {};
  if (options.cache_dir.empty()) return calibration_file(key);
  return std::filesystem::path(options.cache_dir) / calibration_name(key);
}

std::optional<Calibration> usable_calibration(const Options& options, const std::string& key, const Notice& notice) {
  try {
    return load_calibration(calibration_path(options, key), key);
  } catch (const Error& error) {
    if (options.strict) throw;
    if (notice) notice(fmt::format("{}; going on with estimates", error.what()));
    return std::nullopt;
  }
}

std::shared_ptr<PlacementPlanner> make_planner(const Options& options, const Machine& machine, int threads,
                                               const std::string& model_hash, const Notice& notice,
                                               DeviceRefusal refusal, PlanMeasurer measure) {
  PlannerOptions planner;
  planner.refusal = std::move(refusal);
  planner.topology = topology_in_use(options, machine, threads);
  for (const std::string& device : options.devices) planner.devices.push_back(full_device_name(device));
  for (const auto& [device, bytes] : options.memory_limits) planner.memory_limits[full_device_name(device)] = bytes;
  if (!planner.memory_limits.contains("cpu") && options.topology.empty()) {
    planner.memory_limits["cpu"] = cpu_memory_limit(options);
  }
  planner.policy = parse_policy(options.policy);
  planner.objective = parse_objective(options.objective);
  planner.seed = options.seed;
  for (const std::string& pin : options.pins) planner.pins.push_back(parse_pin(pin));
  if (!options.plan.empty()) {
    planner.plan_text = read_text(options.plan, "--plan");
    planner.plan_name = "--plan " + options.plan;
  }
  planner.strict = options.strict;
  planner.model_hash = model_hash;
  planner.notice = notice;
  planner.measure = std::move(measure);
  // Measurements are those of this machine's CPU; a topology file may describe another.
  if (planner.topology.hosts.front().cpu().discovered) {
    const std::string key = calibration_key(machine, threads);
    planner.calibration = usable_calibration(options, key, notice);
  }
  return std::make_shared<PlacementPlanner>(std::move(planner));
}

std::string list_topology(const Options& options, const Machine& machine) {
  const Topology topology = topology_in_use(options, machine, computing_threads(options, machine));
  TextTable table({"host", "device", "what", "link to the CPU"}, "llll");
  for (const HostSpec& host : topology.hosts) {
    const std::string name = host.count == 1 ? host.name : fmt::format("{} x {}", host.count, host.name);
    for (const DeviceSpec& device : host.devices) {
      const bool is_cpu = device.kind == DeviceKind::cpu;
      const LinkSpec link = is_cpu ? LinkSpec{} : host.link(device.name, host.cpu().name);
      table.add({name, device.name + (device.emulated ? " (emulated)" : ""), memory_and_rates(device),
                 is_cpu ? "-" : fmt::format("{:.4g} GB/s, {:.4g} us", link.gb_per_s, link.latency_us)});
    }
  }
  std::string text = table.text();
  if (topology.ranks() > 1) {
    text += fmt::format("network: {:.4g} GB/s, {:.4g} us\n", topology.network_gb_per_s, topology.network_latency_us);
  }
  if (options.topology.empty()) text += list_gpus() + describe(graphics_cards());
  if (!topology.hosts.front().cpu().discovered) return text;
  const std::string key = calibration_key(machine, computing_threads(options, machine));
  const auto calibration = usable_calibration(options, key, {});
  if (calibration) {
    return text + fmt::format("calibrated: {} layers measured\n", calibration->samples().size());
  }
  return text + "rates are estimates from cores, frequency and instruction sets; --calibrate measures\n";
}

std::string list_policies() {
  std::string text;
  for (const PolicyPtr& policy : built_in_policies()) {
    text += fmt::format("{:<13} {}\n", policy->name(), policy->purpose());
    for (const PolicyParameter& parameter : policy->parameters()) {
      text += fmt::format("{:<13}   {}: {}\n", "", parameter.name, parameter.meaning);
    }
  }
  return text + fmt::format("{:<13} {}\n", "./FILE.so", "a policy of your own, see examples/policies");
}

std::string diff_plans(const std::string& a, const std::string& b) {
  return plan_diff(read_text(a, "--plan-diff"), read_text(b, "--plan-diff"));
}

}  // namespace sparse_run::cli
