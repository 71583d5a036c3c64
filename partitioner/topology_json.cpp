// Topology files: written from a discovered machine or by hand, and read with suspicion.
#include <set>

#include "base/error.hpp"
#include "partitioner/json_fields.hpp"
#include "partitioner/topology.hpp"

namespace sparse_run {

namespace {

using OrderedJson = nlohmann::ordered_json;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;
constexpr double kLeastRate = 1e-6;
constexpr double kMostRate = 1e9;
constexpr double kMostMicroseconds = 1e7;
constexpr double kMostContention = 100;
constexpr std::size_t kMostDevices = 64;
constexpr int kMostRanks = 65536;

OrderedJson device_json(const DeviceSpec& device) {
  OrderedJson json = {{"name", device.name},
                      {"kind", device.kind == DeviceKind::cpu ? "cpu" : "gpu"},
                      {"emulated", device.emulated},
                      {"memory_bytes", device.memory_bytes},
                      {"dense_gflops", device.dense_gflops},
                      {"sparse_gflops", device.sparse_gflops},
                      {"memory_gb_per_s", device.memory_gb_per_s},
                      {"launch_us", device.launch_us},
                      {"dispatch_us", device.dispatch_us}};
  if (device.relative_error > 0) json["relative_error"] = device.relative_error;
  json["caches"] = OrderedJson::array();
  for (const CacheSpec& cache : device.caches) {
    json["caches"].push_back({{"level", cache.level}, {"bytes", cache.bytes}, {"gb_per_s", cache.gb_per_s}});
  }
  return json;
}

/// The number of gigaflops or gigabytes per second, given as such or as a multiple of the CPU's.
double read_rate(const JsonFields& fields, const std::string& absolute, const std::string& relative,
                 double of_this_cpu) {
  if (fields.find(relative) == nullptr) return fields.number(absolute, kLeastRate, kMostRate);
  if (fields.find(absolute) != nullptr) {
    throw_error(ErrorKind::usage, "{}: give this or {}, not both", fields.where(absolute), relative);
  }
  const double times = fields.number(relative, kLeastRate, kMostRate);
  if (of_this_cpu <= 0) {
    throw_error(ErrorKind::usage, "{}: needs a CPU that is marked as discovered", fields.where(relative));
  }
  return std::min(kMostRate, times * of_this_cpu);
}

/// `this_cpu` is nullptr when numbers of this machine are not to be had.
DeviceSpec read_device(const JsonFields& fields, const DeviceSpec* this_cpu) {
  if (fields.flag_or("discovered", false)) {
    fields.refuse_unknown({"name", "kind", "discovered"});
    if (fields.text("kind") != "cpu") {
      throw_error(ErrorKind::usage, "{}: only the CPU can be discovered", fields.where("discovered"));
    }
    if (this_cpu == nullptr) {
      throw_error(ErrorKind::usage, "{}: this use of a topology needs its numbers in the file; see --topology-out",
                  fields.where("discovered"));
    }
    DeviceSpec device = *this_cpu;
    device.name = fields.text("name");
    device.discovered = true;
    return device;
  }
  fields.refuse_unknown({"name", "kind", "emulated", "discovered", "memory_bytes", "dense_gflops", "dense_times_cpu",
                         "sparse_gflops", "memory_gb_per_s", "memory_times_cpu", "launch_us", "dispatch_us", "caches",
                         "relative_error"});
  DeviceSpec device;
  device.name = fields.text("name");
  const std::string kind = fields.text("kind");
  if (kind != "cpu" && kind != "gpu") {
    throw_error(ErrorKind::usage, "{}: '{}' is no kind of device; choose cpu or gpu", fields.where("kind"), kind);
  }
  device.kind = kind == "cpu" ? DeviceKind::cpu : DeviceKind::gpu;
  device.emulated = fields.flag_or("emulated", false);
  device.memory_bytes = static_cast<std::size_t>(fields.integer("memory_bytes", 1, kMostBytes));
  device.dense_gflops = read_rate(fields, "dense_gflops", "dense_times_cpu", this_cpu ? this_cpu->dense_gflops : 0);
  device.sparse_gflops = fields.number_or("sparse_gflops", 0, 0, kMostRate);
  device.memory_gb_per_s =
      read_rate(fields, "memory_gb_per_s", "memory_times_cpu", this_cpu ? this_cpu->memory_gb_per_s : 0);
  device.relative_error = fields.number_or("relative_error", 0, 0, 1);
  if (device.relative_error > 0 && !device.emulated) {
    throw_error(ErrorKind::usage, "{}: only emulated devices have one", fields.where("relative_error"));
  }
  device.launch_us = fields.number_or("launch_us", 0, 0, kMostMicroseconds);
  device.dispatch_us = fields.number_or("dispatch_us", 0, 0, kMostMicroseconds);
  for (const JsonFields& cache : fields.objects("caches")) {
    cache.refuse_unknown({"level", "bytes", "gb_per_s"});
    device.caches.push_back({static_cast<int>(cache.integer("level", 1, 8)),
                             static_cast<std::size_t>(cache.integer("bytes", 1, kMostBytes)),
                             cache.number("gb_per_s", kLeastRate, kMostRate)});
    if (device.caches.size() > 8) throw_error(ErrorKind::usage, "{}: more than 8", fields.where("caches"));
  }
  return device;
}

void check_device_name(const DeviceSpec& device, const std::string& place) {
  const std::string prefix = device.kind == DeviceKind::cpu ? "cpu" : device.emulated ? "emulated:" : "gpu:";
  const std::string number = device.name.starts_with(prefix) ? device.name.substr(prefix.size()) : "?";
  const bool numbered =
      !number.empty() && number.size() <= 4 && number.find_first_not_of("0123456789") == std::string::npos;
  if (device.kind == DeviceKind::cpu ? device.name != "cpu" || device.emulated : !numbered) {
    throw_error(ErrorKind::usage, "{}: '{}' is no name for it; devices are called cpu, gpu:0, gpu:1 … or emulated:0 …",
                place, device.name);
  }
}

HostSpec read_host(const JsonFields& fields, const DeviceSpec* this_cpu) {
  fields.refuse_unknown({"name", "count", "devices", "links", "handover_us", "copy_contention", "compute_contention"});
  HostSpec host;
  host.name = fields.text("name");
  host.count = static_cast<int>(fields.integer_or("count", 1, 1, kMostRanks));
  host.handover_us = fields.number_or("handover_us", 0, 0, kMostMicroseconds);
  host.copy_contention = fields.number_or("copy_contention", 1, 1, kMostContention);
  host.compute_contention = fields.number_or("compute_contention", 1, 1, kMostContention);
  std::set<std::string> names;
  int cpus = 0;
  for (const JsonFields& entry : fields.objects("devices")) {
    host.devices.push_back(read_device(entry, this_cpu));
    check_device_name(host.devices.back(), entry.where("name"));
    if (!names.insert(host.devices.back().name).second) {
      throw_error(ErrorKind::usage, "{}: '{}' is there twice", entry.where("name"), host.devices.back().name);
    }
    cpus += host.devices.back().kind == DeviceKind::cpu;
    if (host.devices.size() > kMostDevices) {
      throw_error(ErrorKind::usage, "{}: more than {} devices", fields.where("devices"), kMostDevices);
    }
  }
  if (cpus != 1)
    throw_error(ErrorKind::usage, "{}: a host has one device of kind cpu, here are {}", fields.where("devices"), cpus);
  std::set<std::pair<std::string, std::string>> linked;
  for (const JsonFields& entry : fields.objects("links")) {
    entry.refuse_unknown({"from", "to", "gb_per_s", "latency_us", "one_way"});
    LinkSpec link{entry.text("from"), entry.text("to"), entry.number("gb_per_s", kLeastRate, kMostRate),
                  entry.number_or("latency_us", 0, 0, kMostMicroseconds)};
    for (const std::string& end : {link.from, link.to}) {
      if (!names.contains(end)) {
        throw_error(ErrorKind::usage, "{}: names '{}', which this host does not have", fields.where("links"), end);
      }
    }
    if (link.from == link.to || !linked.emplace(link.from, link.to).second) {
      throw_error(ErrorKind::usage, "{}: '{}' to '{}' is described twice or leads nowhere", fields.where("links"),
                  link.from, link.to);
    }
    LinkSpec back{link.to, link.from, link.gb_per_s, link.latency_us};
    host.links.push_back(std::move(link));
    if (entry.flag_or("one_way", false)) continue;
    if (!linked.emplace(back.from, back.to).second) {
      throw_error(ErrorKind::usage, "{}: '{}' to '{}' is described twice; mark links as one_way", fields.where("links"),
                  back.from, back.to);
    }
    host.links.push_back(std::move(back));
  }
  return host;
}

}  // namespace

std::string topology_to_json(const Topology& topology) {
  OrderedJson json = {{"schema_version", Topology::kSchemaVersion}, {"name", topology.name}};
  json["hosts"] = OrderedJson::array();
  for (const HostSpec& host : topology.hosts) {
    OrderedJson entry = {{"name", host.name}, {"count", host.count}};
    entry["devices"] = OrderedJson::array();
    for (const DeviceSpec& device : host.devices) entry["devices"].push_back(device_json(device));
    entry["links"] = OrderedJson::array();
    for (const LinkSpec& link : host.links) {
      entry["links"].push_back({{"from", link.from},
                                {"to", link.to},
                                {"gb_per_s", link.gb_per_s},
                                {"latency_us", link.latency_us},
                                {"one_way", true}});
    }
    if (host.handover_us > 0) entry["handover_us"] = host.handover_us;
    if (host.copy_contention > 1) entry["copy_contention"] = host.copy_contention;
    if (host.compute_contention > 1) entry["compute_contention"] = host.compute_contention;
    json["hosts"].push_back(std::move(entry));
  }
  json["network"] = {{"gb_per_s", topology.network_gb_per_s}, {"latency_us", topology.network_latency_us}};
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + '\n';
}

Topology topology_from_json(const std::string& text, const DeviceSpec* this_cpu) {
  const Json json = parse_json(text, "topology");
  const JsonFields fields(json, "topology");
  fields.expect_schema_version(Topology::kSchemaVersion);
  fields.refuse_unknown({"schema_version", "name", "hosts", "network"});
  Topology topology;
  topology.name = fields.text_or("name", "unnamed");
  for (const JsonFields& entry : fields.objects("hosts")) {
    topology.hosts.push_back(read_host(entry, this_cpu));
    if (topology.hosts.size() > kMostRanks || topology.ranks() > kMostRanks) {
      throw_error(ErrorKind::usage, "topology: more than {} hosts", kMostRanks);
    }
  }
  if (topology.hosts.empty()) throw Error(ErrorKind::usage, "topology.hosts: at least one is needed");
  if (const Json* network = fields.find("network")) {
    const JsonFields entry(*network, "topology.network");
    entry.refuse_unknown({"gb_per_s", "latency_us"});
    topology.network_gb_per_s = entry.number("gb_per_s", kLeastRate, kMostRate);
    topology.network_latency_us = entry.number_or("latency_us", 0, 0, kMostMicroseconds);
  }
  return topology;
}

}  // namespace sparse_run
