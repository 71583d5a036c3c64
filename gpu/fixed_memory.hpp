// What a device needs to know of values that it keeps at fixed addresses in memory of its own.
#pragma once

#include <string>

#include "graph/ir/graph.hpp"

namespace sparse_run::gpu {

/// Why a node's values cannot live in such memory, or the node runs on the host: bodies, values of unknown size,
/// strings, sequences. Empty when all is well.
std::string refuse_unfixed(const Graph& graph, const Node& node);

}  // namespace sparse_run::gpu
