// What crosses between the stages of a pipeline, in which messages, and on which channels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/device.hpp"
#include "partitioner/plan.hpp"

namespace sparse_run {

/// Values on their way from one stage to another, or from or to the leader, as one message: a large value alone, small
/// ones that go the same way together, one behind the other.
struct Parcel {
  static constexpr int kLeader = -1;
  int from = kLeader;  ///< stage, or the leader, who has the request's inputs
  int to = kLeader;    ///< stage, or the leader, who wants the outputs
  int channel = 0;
  std::vector<ValueId> values;
  std::size_t bytes = 0;  ///< of all of them
  /// Whether the message may come packed (packing.hpp): a large value of words of 32 bits between two stages.
  bool may_be_packed = false;
};

/// The stages of a plan whose partitions of rank r form stage r, in that order. Ranks compute it each for itself from
/// the same plan and get the same channels.
struct PipelineLayout {
  std::shared_ptr<const Graph> graph;
  std::vector<Partition> stages;  ///< by rank in the plan; empty where a rank has no node
  std::vector<Parcel> parcels;

  /// `first_channel`: channels count from there. Error(usage) for a plan that names rank `ranks` or above, that is not
  /// of this graph, or in which something crosses that cannot.
  PipelineLayout(std::shared_ptr<const Graph> graph, const Plan& plan, int ranks, int first_channel);

  int end_channel() const;  ///< one past the last
  std::size_t bytes(ValueId value) const;
  /// For reports: the value's name, and how many travel with it.
  std::string name(const Parcel& parcel) const;

 private:
  void add(ValueId value, int from, int to, int first_channel);
};

}  // namespace sparse_run
