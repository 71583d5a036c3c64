// Cuts a partition into stages, some of which pass the images of a batch one group after the other.
#pragma once

#include <optional>
#include <vector>

#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// Consecutive nodes of a partition. `groups` == 1: they run on the whole batch. Otherwise `partition` is over a graph
/// of its own, in which every first dimension is the batch divided by `groups`, and runs once for each group.
struct ImageStage {
  Partition partition;
  CompileOptions options;
  std::int64_t groups = 1;
  std::vector<ValueId> inputs, outputs;  ///< of the whole graph, parallel to the partition's
};

/// Layers whose images are large compared to their weights (the first ones of a convolutional network) leave a batch of
/// intermediate results in memory before the next layer reads it; group by group, these stay in the caches. Only
/// blocked convolutions and what goes with them are taken, which treat images one by one. nullopt when no stage gains.
std::optional<std::vector<ImageStage>> cut_into_image_stages(const Partition& partition, const CompileOptions& options,
                                                             const Environment& environment);

}  // namespace sparse_run::cpu
