// Layers that stand for many: what calibration measures.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// Graphs of one node each, over classes, sizes and shares of zeros; weights are random with `seed`.
std::vector<std::shared_ptr<const Graph>> calibration_layers(std::uint64_t seed);

}  // namespace sparse_run
