// What crosses between the stages of a pipeline, and on which channel.
#pragma once

#include <memory>
#include <vector>

#include "device/device.hpp"
#include "partitioner/plan.hpp"

namespace sparse_run {

/// One value on its way from one stage to another, or from or to the leader.
struct Crossing {
  static constexpr int kLeader = -1;
  ValueId value = kNoValue;
  int from = kLeader;  ///< stage, or the leader, who has the request's inputs
  int to = kLeader;    ///< stage, or the leader, who wants the outputs
  int channel = 0;
};

/// The stages of a plan whose partitions of rank r form stage r, in that order. Ranks compute it each for itself from
/// the same plan and get the same channels.
struct PipelineLayout {
  std::shared_ptr<const Graph> graph;
  std::vector<Partition> stages;  ///< by rank in the plan; empty where a rank has no node
  std::vector<Crossing> crossings;

  /// `first_channel`: channels count from there. Error(usage) for a plan that names rank `ranks` or above, that is not
  /// of this graph, or in which something crosses that cannot.
  PipelineLayout(std::shared_ptr<const Graph> graph, const Plan& plan, int ranks, int first_channel);

  int end_channel() const;  ///< one past the last
  std::size_t bytes(const Crossing& crossing) const;
};

}  // namespace sparse_run
