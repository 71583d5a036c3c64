// What this process uses of memory, and what it could still use.
#pragma once

#include <cstddef>

namespace sparse_run::cli {

std::size_t peak_resident_bytes();  ///< VmHWM; 0 when the system does not say
/// What could be allocated without swapping: MemAvailable, or less when the cgroup's limit is nearer.
std::size_t available_bytes();
/// The memory limit of this process's cgroup; 0 when there is none.
std::size_t cgroup_limit_bytes();

}  // namespace sparse_run::cli
