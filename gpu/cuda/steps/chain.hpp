// Chains of elementwise operators as one generated kernel.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gpu/cuda/steps/step.hpp"

namespace sparse_run::gpu::cuda {

/// Nodes each of which reads the result of the one before, which nobody else does; all results have one shape. In
/// topological order, at least two.
struct Chain {
  std::vector<NodeId> nodes;
  std::vector<ValueId> operands;  ///< that it reads from outside, each once; constants that are parameters left out
};

inline constexpr std::size_t kMostChainOperands = 16;

/// The chains among nodes of a graph, as long as they go; each node is in one at most. `leaves(value)`: it is read
/// outside of these nodes.
std::vector<Chain> find_chains(const Graph& graph, std::span<const NodeId> nodes,
                               const std::function<bool(ValueId)>& leaves);

/// The text of the kernel `chain`, for NVRTC; it includes scalar_math.hpp. Its parameter is ChainOperands.
std::string chain_source(const Graph& graph, const Chain& chain);

/// What a generated kernel takes.
struct ChainOperands {
  const float* x[kMostChainOperands];
  float* y;
};

/// Compiles it. Operands of a launch are parallel to chain.operands.
std::unique_ptr<Step> build_chain(const Graph& graph, const Chain& chain, const std::shared_ptr<Gpu>& gpu);

}  // namespace sparse_run::gpu::cuda
