// Gather from a table that stays in CPU memory.
#pragma once

#include <memory>

#include "gpu/cuda/host_weights.hpp"
#include "gpu/cuda/steps/step.hpp"

namespace sparse_run::gpu::cuda {

/// Whether the node gathers whole rows of a constant: operand 0, along the first axis.
bool gathers_rows(const NodeView& view);

/// Scratch that the step of such a node needs.
std::size_t cached_gather_scratch(const NodeView& view);

/// The step of such a node, with a cache of rows in `cache_bytes` of the GPU's memory, at least one set. Error(device)
/// when the GPU has not that much.
std::unique_ptr<Step> build_cached_gather(const NodeView& view, const std::shared_ptr<Gpu>& gpu,
                                          std::shared_ptr<const HostWeights> table, std::size_t cache_bytes);

}  // namespace sparse_run::gpu::cuda
