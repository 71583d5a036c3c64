// How much memory the grouped edges of a partition's graphs take, known before there are any.
#pragma once

#include <cstddef>

#include "device/device.hpp"

namespace sparse_run::cpu {

/// Bytes that the device keeps for sums over edges of this partition: what group_edges and in_group_order make of every
/// list of edges, each once however many layers read it.
std::size_t grouped_bytes(const Partition& partition);

}  // namespace sparse_run::cpu
