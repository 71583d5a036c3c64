// A set of nodes as a partition: what it reads from outside and what others read from it.
#pragma once

#include <memory>
#include <vector>

#include "device/device.hpp"

namespace sparse_run {

/// What nodes read from outside and what leaves them, in the order of nodes; constants do not count.
Partition boundary_of(const std::shared_ptr<const Graph>& graph, const std::vector<NodeId>& nodes);

}  // namespace sparse_run
