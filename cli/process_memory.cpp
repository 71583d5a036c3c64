// Memory figures from /proc and the cgroup.
#include "cli/process_memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

namespace sparse_run::cli {

namespace {

/// The value of a "Key:  123 kB" line, in bytes; 0 when there is none.
std::size_t kibibytes_line(const char* path, std::string_view key) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    std::size_t kibibytes = 0;
    if (word == key && file >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

std::size_t number_in(const char* path) {
  std::ifstream file(path);
  std::size_t number = 0;
  return file >> number ? number : 0;
}

}  // namespace

std::size_t peak_resident_bytes() { return kibibytes_line("/proc/self/status", "VmHWM:"); }

std::size_t cgroup_limit_bytes() {
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    const std::size_t limit = number_in(path);
    if (limit > 0 && limit < std::numeric_limits<std::size_t>::max() / 4) return limit;
  }
  return 0;
}

std::size_t available_bytes() {
  std::size_t available = kibibytes_line("/proc/meminfo", "MemAvailable:");
  const std::size_t limit = cgroup_limit_bytes();
  if (limit > 0) {
    std::size_t used = number_in("/sys/fs/cgroup/memory.current");
    if (used == 0) used = number_in("/sys/fs/cgroup/memory/memory.usage_in_bytes");
    available = std::min(available, limit - std::min(used, limit));
  }
  return available;
}

}  // namespace sparse_run::cli
