// Decides which values of a partition are blocked images, and rewrites the partition accordingly.
#pragma once

#include <optional>

#include "device/device.hpp"

namespace sparse_run::cpu {

/// A rewritten partition, over a graph of its own, with the options of its compilation: nodes have other ids there.
struct BlockedPartition {
  Partition partition;
  CompileOptions options;
};

/// Dense convolutions and what lies between them (depthwise convolutions, poolings, elementwise operators,
/// concatenation of channels) work on blocked images where that is worth the reordering at the borders. Convolutions
/// that sparse kernels are expected to compute faster stay on plain images, as do nodes whose kernel is fixed to one of
/// plain images; nodes fixed to a blocked kernel get one where that is possible. Inputs and outputs keep order, names
/// and types. nullopt when nothing would change. Throws Error(model) like the nodes' own checks.
std::optional<BlockedPartition> with_blocked_images(const Partition& partition, const CompileOptions& options);

}  // namespace sparse_run::cpu
