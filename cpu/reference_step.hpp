// Runs a node with its reference kernel inside a compiled program: the fallback of every operator.
#pragma once

#include <memory>

#include "cpu/reference/reference.hpp"
#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// A step for `node` of `graph`. Results whose types are concrete are written in place; other types are inferred
/// from the actual operands at run time. Bodies go to RunState::bodies. Error(unsupported) when the operator has no
/// reference kernel.
std::unique_ptr<Step> make_reference_step(const Graph& graph, const Node& node);

}  // namespace sparse_run::cpu
