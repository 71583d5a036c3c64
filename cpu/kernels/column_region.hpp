// Runs of nodes that compute on columns of rows with images in the lanes, and the step that executes such a run.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cpu/column/chain_plan.hpp"
#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// Neighbouring nodes of a partition that become one step.
struct ColumnRegion {
  std::size_t begin = 0, end = 0;  ///< places in the partition's list of nodes
  std::vector<ValueId> inputs;     ///< operands from outside, constants excluded
  std::vector<ValueId> outputs;    ///< results that are read outside
};

/// A region's step. Its layers are the region's nodes.
struct ColumnStep {
  std::unique_ptr<Step> step;
  std::vector<std::string> kernels;    ///< names, by node
  std::vector<double> flops;           ///< executed, by node
  std::vector<double> weight_bytes;    ///< packed, by node
  std::vector<std::string> placement;  ///< by node: which column it belongs to, for people
};

/// Regions of a partition, in order. `views` is parallel to its nodes; nodes with `excluded` set take no part.
std::vector<ColumnRegion> find_column_regions(const Partition& partition,
                                              std::span<const std::unique_ptr<NodeView>> views,
                                              const std::vector<bool>& excluded, const Environment& environment);

/// Whether the partition has any, nodes with a pinned kernel excluded.
bool has_column_regions(const Partition& partition, const CompileOptions& options, const Environment& environment);

/// Compiles a region.
ColumnStep build_column_step(const ColumnRegion& region, std::span<const std::unique_ptr<NodeView>> views,
                             const Environment& environment);

}  // namespace sparse_run::cpu
