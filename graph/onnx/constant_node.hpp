// Constant nodes become constants at import.
#pragma once

#include "graph/ir/graph.hpp"

namespace sparse_run::onnx {

/// The value of a Constant node; Error(model) unless it has one output and exactly one known attribute.
Constant read_constant_node(const Node& node);

}  // namespace sparse_run::onnx
