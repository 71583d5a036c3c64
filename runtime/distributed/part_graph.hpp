// A part of a graph as a graph of its own, which another session can run.
#pragma once

#include <memory>
#include <vector>

#include "device/device.hpp"

namespace sparse_run {

/// What nodes read from outside and what leaves them, in the order of nodes; constants do not count.
Partition boundary_of(const std::shared_ptr<const Graph>& graph, const std::vector<NodeId>& nodes);

/// The partition's nodes with its inputs and outputs, in that order. Constants are shared, not copied.
std::shared_ptr<const Graph> graph_of(const Partition& partition, const std::string& name);

}  // namespace sparse_run
