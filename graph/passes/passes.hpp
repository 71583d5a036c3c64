// Every pass there is, one factory and one source file each.
#pragma once

#include <memory>

#include "graph/passes/pass.hpp"

namespace sparse_run {

/// share_equal_nodes.cpp: equal constants become one, and so do equal computations (common subexpressions).
std::unique_ptr<Pass> make_share_equal_nodes();
/// simplify_movement.cpp: reshape of reshape, transpose of transpose, and movement that moves nothing.
std::unique_ptr<Pass> make_simplify_movement();

}  // namespace sparse_run
