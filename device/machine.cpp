// Machine discovery through hwloc, /proc and cgroup files.
#include "device/machine.hpp"

#include <hwloc.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>

namespace sparse_run {

namespace {

std::size_t physical_memory() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::size_t kib = 0;
  std::size_t bytes = 0;
  if (file >> key >> kib && key == "MemTotal:") bytes = kib * 1024;
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream limit_file(path);
    std::size_t limit = 0;
    if (limit_file >> limit) bytes = bytes == 0 ? limit : std::min(bytes, limit);
  }
  return bytes;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0;
  double period = 0;
  if (file >> quota >> period && quota > 0 && period > 0) {
    cores = std::min(cores, std::max(1, static_cast<int>(quota / period)));
  }
  return std::max(1, cores);
}

void read_cpuinfo(Machine& machine) {
  static constexpr std::string_view kKnown[] = {"sse4_2",      "avx",         "avx2",        "fma",      "f16c",
                                                "avx_vnni",    "avx512f",     "avx512bw",    "avx512dq", "avx512vl",
                                                "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16",
                                                "amx_int8"};
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos || colon + 2 > line.size()) continue;
    if (line.starts_with("model name") && machine.cpu_model.empty()) machine.cpu_model = line.substr(colon + 2);
    if (line.starts_with("flags")) {
      std::istringstream flags(line.substr(colon + 1));
      for (std::string flag; flags >> flag;) {
        if (std::find(std::begin(kKnown), std::end(kKnown), flag) != std::end(kKnown)) machine.isa.push_back(flag);
      }
      return;
    }
  }
}

void read_topology(Machine& machine) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return;
  const std::unique_ptr<hwloc_topology, decltype(&hwloc_topology_destroy)> topology(raw, hwloc_topology_destroy);
  if (hwloc_topology_load(raw) != 0) return;
  machine.numa_nodes = std::max(1, hwloc_get_nbobjs_by_type(raw, HWLOC_OBJ_NUMANODE));
  const hwloc_obj_type_t levels[] = {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE};
  for (int level = 1; level <= 3; ++level) {
    const hwloc_obj_t cache = hwloc_get_obj_by_type(raw, levels[level - 1], 0);
    if (cache == nullptr || cache->attr->cache.size == 0) continue;
    machine.caches.push_back(
        {level, static_cast<std::size_t>(cache->attr->cache.size), std::max(1, hwloc_bitmap_weight(cache->cpuset))});
  }
}

}  // namespace

std::size_t Machine::cache_bytes(int level, std::size_t fallback) const noexcept {
  for (const CacheLevel& cache : caches) {
    if (cache.level == level) return cache.bytes;
  }
  return fallback;
}

bool Machine::has_isa(std::string_view name) const noexcept {
  return std::find(isa.begin(), isa.end(), name) != isa.end();
}

Machine discover_machine() {
  Machine machine;
  machine.cores = usable_cores();
  machine.memory_bytes = physical_memory();
  read_cpuinfo(machine);
  read_topology(machine);
  return machine;
}

}  // namespace sparse_run
