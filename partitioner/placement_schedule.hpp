// What a placement comes to: its partitions, when each would run, and how good that is.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "partitioner/placement_problem.hpp"

namespace sparse_run {

enum class Objective { latency, throughput, memory };
std::string_view objective_name(Objective objective);
/// Error(usage) for a word that is none.
Objective parse_objective(std::string_view word);

/// A device per node: index into problem.devices.
using Assignment = std::vector<int>;

/// Nodes of one device that run together. The order of the list they come in is topological.
struct NodeGroup {
  int device = 0;
  std::vector<int> nodes;  ///< ascending, which is topological
};

/// How an assignment would run.
struct Schedule {
  double latency_s = 0;                   ///< of one request alone, copies of inputs and outputs included
  double bottleneck_s = 0;                ///< busiest device or link per request: a long stream's time per request
  std::vector<double> busy_s;             ///< per device
  std::vector<std::size_t> weight_bytes;  ///< per device
  /// Per device, of one request: values that live at the same time, and what kernels hold beside them.
  std::vector<std::size_t> activation_bytes;
  int partitions = 0;
  double overcommitted = 0;  ///< largest share by which a device's memory limit is exceeded; 0: everything fits
  double largest_share = 0;  ///< of a device's memory limit

  /// Smaller is better. What does not fit is worse than all that does.
  double cost(Objective objective) const;
};

/// Scheduling one problem's assignments over and over: keeps its scratch memory. Not thread-safe; one per thread.
class Scheduler {
 public:
  explicit Scheduler(const PlacementProblem& problem);

  /// Every device runs one partition at a time, in the order in which they become ready; every link one copy at a
  /// time; computing and copying overlap.
  const Schedule& evaluate(std::span<const int> assignment);

  /// Partitions: a new one begins where a value has come from another device, and behind a node whose result leaves
  /// for another device, so that whoever waits for it does not wait for more. What one device can run at the same
  /// point without dependencies between is kept apart.
  std::vector<NodeGroup> partition(std::span<const int> assignment);

 private:
  struct Group {
    int device;
    int first;
    int waiting;
    double ready;
    double seconds;
  };
  void form_groups(std::span<const int> assignment);
  void add_memory(std::span<const int> assignment);
  void run_groups(std::span<const int> assignment);

  /// The latest copy from or to a rank's memory that is known of.
  struct Traffic {
    std::size_t link = static_cast<std::size_t>(-1);
    double from = 0;
    double until = 0;
  };

  const PlacementProblem& problem_;
  Schedule schedule_;
  std::vector<int> level_;
  std::vector<int> parent_;  ///< union-find over nodes
  std::vector<int> group_of_;
  std::vector<Group> groups_;
  std::vector<double> sent_;                   ///< per value and device: when it is there; < 0: not yet
  std::vector<Traffic> traffic_;               ///< per rank
  std::vector<std::vector<int>> group_sends_;  ///< values that leave the group, or the graph
};

/// A latency that no placement can beat: the longest path with every node on its fastest device, or all work spread
/// evenly over all devices, whichever is longer.
double latency_lower_bound(const PlacementProblem& problem);

}  // namespace sparse_run
