// Topology: the hosts, devices and links that plans are made for; discovered, or described in a file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/machine.hpp"

namespace sparse_run {

enum class DeviceKind { cpu, gpu };

/// A cache level; bandwidth is what all cores together read from it.
struct CacheSpec {
  int level = 1;
  std::size_t bytes = 0;  ///< that all cores together have
  double gb_per_s = 0;
};

/// One device. Rates are those that large layers reach, not those of a data sheet.
struct DeviceSpec {
  std::string name;  ///< "cpu", "gpu:0", "emulated:1"
  DeviceKind kind = DeviceKind::cpu;
  bool emulated = false;
  bool discovered = false;  ///< this machine's CPU: its rates were found here and measurements hold for it
  std::size_t memory_bytes = 0;
  double dense_gflops = 0;   ///< f32 products and convolutions
  double sparse_gflops = 0;  ///< on the non-zeros of unstructured sparse weights; 0: only dense kernels
  double memory_gb_per_s = 0;
  std::vector<CacheSpec> caches;
  double launch_us = 0;       ///< for every kernel
  double dispatch_us = 0;     ///< for every partition
  double relative_error = 0;  ///< of an emulated device: every second f32 result is off by this share
};

/// A connection of two devices of a host, each direction on its own.
struct LinkSpec {
  std::string from;
  std::string to;
  double gb_per_s = 0;
  double latency_us = 0;
};

struct HostSpec {
  std::string name;
  int count = 1;                    ///< hosts of this kind, each one rank
  std::vector<DeviceSpec> devices;  ///< exactly one of them is a CPU: its memory is the host's
  std::vector<LinkSpec> links;      ///< a device without one to the CPU gets a default
  /// From the end of a copy, or of a partition in a device's own memory, to the start of what waited for it: a thread
  /// has to be woken.
  double handover_us = 0;
  double copy_contention = 1;     ///< a copy takes so many times as long while another one runs
  double compute_contention = 1;  ///< the CPU computes so many times as long while a copy runs

  const DeviceSpec& cpu() const;
  const DeviceSpec* find(std::string_view device) const;
  /// Gigabytes per second and microseconds of a copy; over the CPU's memory where two devices have no link.
  LinkSpec link(std::string_view from, std::string_view to) const;
};

struct Topology {
  static constexpr int kSchemaVersion = 1;
  std::string name;
  std::vector<HostSpec> hosts;
  double network_gb_per_s = 1.25;  ///< of one host, each direction
  double network_latency_us = 20;

  int ranks() const;
  const HostSpec& host_of(int rank) const;  ///< ranks count through hosts in order
};

/// This machine: its CPU with rates estimated from cores, frequency and instruction sets.
Topology discover_topology(const Machine& machine, int threads);

/// An emulated GPU as `--devices emulated:N` gives it when no topology describes one: four times the dense rate of the
/// CPU, no sparse kernels, behind a link like PCIe.
DeviceSpec default_emulated_device(const DeviceSpec& cpu, int index);

std::string topology_to_json(const Topology& topology);
/// Error(usage) names the field that is missing, unknown, not positive or absurd. The text is not trusted. A CPU that
/// is marked as discovered gets its numbers from `this_cpu`, and so do devices whose rates are multiples of the CPU's
/// (`dense_times_cpu`, `memory_times_cpu`): such a file fits every machine it is run on. Error(usage) for it when
/// `this_cpu` is nullptr.
Topology topology_from_json(const std::string& text, const DeviceSpec* this_cpu = nullptr);
/// 16 hexadecimal digits that change with every number.
std::string topology_hash(const Topology& topology);
/// Hash of any text by the same function (FNV-1a, 64 bits).
std::string text_hash(std::string_view text);

}  // namespace sparse_run
