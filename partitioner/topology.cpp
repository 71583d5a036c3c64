// Discovering this machine's topology, and questions about topologies.
#include "partitioner/topology.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "base/error.hpp"

namespace sparse_run {

namespace {

constexpr double kDefaultGhz = 2.5;
/// Share of the peak that well blocked kernels reach.
constexpr double kDenseEfficiency = 0.6;
/// Non-zeros per second of unstructured sparse kernels, as a share of the dense rate.
constexpr double kSparseEfficiency = 0.35;
constexpr double kBytesPerCycleL1 = 64;
constexpr double kBytesPerCycleL2 = 24;
constexpr double kBytesPerCycleL3 = 8;
constexpr double kMemoryGbPerCore = 8;
constexpr double kMemoryGbAtMost = 200;
constexpr double kLinkGbPerS = 12;
constexpr double kLinkLatencyUs = 10;

double frequency_ghz() {
  std::ifstream khz_file("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq");
  double khz = 0;
  if (khz_file >> khz && khz > 1e5 && khz < 1e7) return khz / 1e6;
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (!line.starts_with("cpu MHz") || colon == std::string::npos) continue;
    const double mhz = std::strtod(line.c_str() + colon + 1, nullptr);
    if (mhz > 100 && mhz < 10000) return mhz / 1e3;
  }
  return kDefaultGhz;
}

double flops_per_cycle(const Machine& machine) {
  if (machine.has_isa("avx512f")) return 64;
  if (machine.has_isa("avx2") && machine.has_isa("fma")) return 32;
  return 8;
}

}  // namespace

const DeviceSpec& HostSpec::cpu() const {
  for (const DeviceSpec& device : devices) {
    if (device.kind == DeviceKind::cpu) return device;
  }
  throw_error(ErrorKind::usage, "topology: host '{}' has no CPU", name);
}

const DeviceSpec* HostSpec::find(std::string_view device) const {
  const auto found =
      std::find_if(devices.begin(), devices.end(), [&](const auto& spec) { return spec.name == device; });
  return found == devices.end() ? nullptr : &*found;
}

LinkSpec HostSpec::link(std::string_view from, std::string_view to) const {
  for (const LinkSpec& known : links) {
    if (known.from == from && known.to == to) return known;
  }
  const std::string& home = cpu().name;
  if (from != home && to != home) {
    const LinkSpec up = link(from, home);
    const LinkSpec down = link(home, to);
    return {std::string(from), std::string(to), 1 / (1 / up.gb_per_s + 1 / down.gb_per_s),
            up.latency_us + down.latency_us};
  }
  return {std::string(from), std::string(to), kLinkGbPerS, kLinkLatencyUs};
}

int Topology::ranks() const {
  int total = 0;
  for (const HostSpec& host : hosts) total += host.count;
  return total;
}

const HostSpec& Topology::host_of(int rank) const {
  for (const HostSpec& host : hosts) {
    if (rank < host.count) return host;
    rank -= host.count;
  }
  throw Error(ErrorKind::usage, "topology: there is no such rank");
}

Topology discover_topology(const Machine& machine, int threads) {
  const double cores = threads > 0 ? std::min(threads, machine.cores) : machine.cores;
  const double ghz = frequency_ghz();
  DeviceSpec cpu;
  cpu.name = "cpu";
  cpu.discovered = true;
  cpu.memory_bytes = std::max<std::size_t>(machine.memory_bytes, std::size_t{1} << 28);
  cpu.dense_gflops = cores * ghz * flops_per_cycle(machine) * kDenseEfficiency;
  cpu.sparse_gflops = cpu.dense_gflops * kSparseEfficiency;
  cpu.memory_gb_per_s = std::min(kMemoryGbAtMost, kMemoryGbPerCore * cores);
  for (const CacheLevel& cache : machine.caches) {
    const double per_cycle = cache.level == 1   ? kBytesPerCycleL1
                             : cache.level == 2 ? kBytesPerCycleL2
                                                : kBytesPerCycleL3;
    const double instances = std::max(1.0, cores / std::max(1, cache.sharing_cores));
    cpu.caches.push_back({cache.level, static_cast<std::size_t>(static_cast<double>(cache.bytes) * instances),
                          std::max(cpu.memory_gb_per_s, per_cycle * ghz * cores)});
  }
  cpu.launch_us = 2;
  cpu.dispatch_us = 5;
  HostSpec host;
  host.name = "this machine";
  host.devices.push_back(std::move(cpu));
  Topology topology;
  topology.name = machine.cpu_model.empty() ? "unknown CPU" : machine.cpu_model;
  topology.hosts.push_back(std::move(host));
  return topology;
}

DeviceSpec default_emulated_device(const DeviceSpec& cpu, int index) {
  DeviceSpec gpu;
  gpu.name = fmt::format("emulated:{}", index);
  gpu.kind = DeviceKind::gpu;
  gpu.emulated = true;
  gpu.memory_bytes = cpu.memory_bytes / 4;
  gpu.dense_gflops = 4 * cpu.dense_gflops;
  gpu.memory_gb_per_s = 4 * cpu.memory_gb_per_s;
  gpu.launch_us = 5;
  gpu.dispatch_us = 10;
  return gpu;
}

std::string text_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return fmt::format("{:016x}", hash);
}

std::string topology_hash(const Topology& topology) { return text_hash(topology_to_json(topology)); }

}  // namespace sparse_run
