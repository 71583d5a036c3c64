// What crosses between the stages of a pipeline, in which messages, and on which channels.
#pragma once

#include <map>
#include <memory>
#include <optional>
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
  /// What a stage reads and writes.
  struct Ends {
    std::vector<ValueId> inputs, outputs;
  };
  std::vector<ValueId> inputs, outputs;  ///< of the whole graph
  std::vector<Ends> stages;              ///< by rank in the plan; empty where a rank has no node
  std::vector<Parcel> parcels;

  /// `first_channel`: channels count from there. Error(usage) for a plan that names rank `ranks` or above, that is not
  /// of this graph, or in which something crosses that cannot. The graph is not kept: its weights belong to no stage.
  PipelineLayout(const std::shared_ptr<const Graph>& graph, const Plan& plan, int ranks, int first_channel);

  int end_channel() const;  ///< one past the last
  /// Of a value that is an input or output of the graph or of a stage.
  const Type& type(ValueId value) const { return ends_.at(value).type; }
  const std::string& name(ValueId value) const { return ends_.at(value).name; }
  std::size_t bytes(ValueId value) const;
  /// For reports: the value's name, and how many travel with it.
  std::string name(const Parcel& parcel) const;

  /// A stage as a part of the graph, to be compiled.
  const Partition& part(std::size_t stage) const { return parts_.at(stage); }
  /// Lets go of the graph, which parts keep.
  void forget_parts() { parts_.clear(); }
  /// Outputs of the graph that no stage computes: constants, and inputs passed on.
  bool is_computed(ValueId output) const { return ends_.at(output).computed; }
  const std::optional<Constant>& constant(ValueId output) const { return ends_.at(output).constant; }

 private:
  struct End {
    std::string name;
    Type type;
    bool computed = false;
    std::optional<Constant> constant;
  };
  void add(ValueId value, int from, int to, int first_channel);

  std::map<ValueId, End> ends_;
  std::vector<Partition> parts_;
};

}  // namespace sparse_run
