// A part of a graph as a graph of its own, which another session can run.
#pragma once

#include <memory>
#include <string>

#include "device/device.hpp"

namespace sparse_run {

/// The partition's nodes with its inputs and outputs, in that order. Constants are shared, not copied.
std::shared_ptr<const Graph> graph_of(const Partition& partition, const std::string& name);

}  // namespace sparse_run
