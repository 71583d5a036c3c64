// For tests: any valid plan, drawn at random.
#pragma once

#include <memory>
#include <random>
#include <span>

#include "device/device.hpp"
#include "partitioner/plan.hpp"

namespace sparse_run {

/// A random topological order of the nodes, cut at random into up to `most_partitions` partitions, each on a random
/// device among those that take all its nodes. Every valid plan can come up: each is such a cut of some order. The
/// first device has to take every node.
Plan random_plan(const Graph& graph, std::span<const std::shared_ptr<Device>> devices, std::mt19937_64& random,
                 std::size_t most_partitions);

}  // namespace sparse_run
