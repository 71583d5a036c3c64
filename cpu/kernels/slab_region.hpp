// Runs of convolutions of few images that become one step, in which every thread keeps its rows.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cpu/kernels/column_region.hpp"
#include "cpu/selection/selector.hpp"

namespace sparse_run::cpu {

/// Regions of a partition, in order. `views` and `choices` are parallel to its nodes; nodes with `excluded` set take no
/// part. The kernels chosen for the nodes are those that the region runs.
std::vector<ColumnRegion> find_slab_regions(const Partition& partition,
                                            std::span<const std::unique_ptr<NodeView>> views,
                                            std::span<const KernelChoice> choices, const std::vector<bool>& excluded,
                                            const Environment& environment);

/// Compiles a region. Reports name the kernels that were chosen.
ColumnStep build_slab_step(const ColumnRegion& region, std::span<const std::unique_ptr<NodeView>> views,
                           std::span<const KernelChoice> choices, const Environment& environment);

}  // namespace sparse_run::cpu
