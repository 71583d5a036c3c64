// Description of the machine a process runs on: cores, caches, memory, instruction sets.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sparse_run {

/// One cache level as seen from one core.
struct CacheLevel {
  int level = 0;          ///< 1, 2, 3
  std::size_t bytes = 0;  ///< of one instance
  int sharing_cores = 1;  ///< cores that share an instance
};

/// Discovered once; plain data afterwards.
struct Machine {
  std::string cpu_model;
  int cores = 1;  ///< processing units this process may use (affinity and cgroup quota respected)
  int numa_nodes = 1;
  std::vector<CacheLevel> caches;  ///< data and unified caches, ascending level
  std::size_t memory_bytes = 0;    ///< physical, or the cgroup's limit when that is smaller
  std::vector<std::string> isa;    ///< "avx2", "avx512f", "avx512_vnni", "amx_bf16", …

  /// Bytes of the cache at `level`, or `fallback` when the machine does not say.
  std::size_t cache_bytes(int level, std::size_t fallback) const noexcept;
  bool has_isa(std::string_view name) const noexcept;
};

/// Asks hwloc, /proc and the cgroup. What cannot be found keeps its default.
Machine discover_machine();

}  // namespace sparse_run
