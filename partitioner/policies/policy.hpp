// What a policy is: a pure function from a placement problem to a device per node.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "partitioner/placement_schedule.hpp"

namespace sparse_run {

struct PolicyOptions {
  Objective objective = Objective::latency;
  std::uint64_t seed = 0;
  std::map<std::string, std::string, std::less<>> parameters = {};  ///< as typed behind the policy's name

  /// The parameter as a number in [lowest, highest]; Error(usage) otherwise.
  double number_or(std::string_view name, double fallback, double lowest, double highest) const;
};

struct PolicyParameter {
  std::string name;
  std::string meaning;  ///< with the default
};

/// Deterministic for a seed, thread-safe, and no better informed than its arguments.
class Policy {
 public:
  virtual ~Policy() = default;
  virtual std::string name() const = 0;
  virtual std::string purpose() const = 0;  ///< one sentence for --list-policies
  virtual std::vector<PolicyParameter> parameters() const { return {}; }
  /// A device for every node, allowed for it (PlacementProblem::may). May exceed memory: place() puts that right.
  virtual Assignment assign(const PlacementProblem& problem, const PolicyOptions& options) const = 0;
  /// Assignments that a measurement should choose from, the most promising first: what assign() returns, and those
  /// whose predictions are too close to tell. Within memory where the first one is.
  virtual std::vector<Assignment> candidates(const PlacementProblem& problem, const PolicyOptions& options) const {
    return {assign(problem, options)};
  }
};

using PolicyPtr = std::shared_ptr<const Policy>;  // shared: planners of several sessions may use one library

/// Every built-in policy, in the order of --list-policies. A new one is added to the list in registry.cpp.
const std::vector<PolicyPtr>& built_in_policies();

/// The built-in policy of that name, or the one in the shared object when the name has a '/' or ends in ".so".
/// Error(usage) for a name that is none.
PolicyPtr find_policy(const std::string& name);

/// "heft", "density:zeros=0.9,intensity=8", "./libmine.so:key=value" taken apart. Error(usage) for a parameter that
/// the policy does not have.
struct PolicyChoice {
  PolicyPtr policy;
  std::map<std::string, std::string, std::less<>> parameters;
};
PolicyChoice parse_policy(const std::string& text);

/// Runs the policy, checks what it returned, and moves nodes off devices whose memory it exceeded. Error(usage) when
/// the policy returns garbage, Error(limit) when nothing fits.
Assignment place(const Policy& policy, const PlacementProblem& problem, const PolicyOptions& options);

/// The second half of place(): for an assignment that the policy has returned already.
Assignment checked_placement(const Policy& policy, const PlacementProblem& problem, Assignment assignment);

/// Moves nodes that lose least per byte from overfull devices to ones with room; unchanged when all fits already.
/// Error(limit) naming the device when that is impossible.
Assignment fit_memory(const PlacementProblem& problem, Assignment assignment);

/// `preferred` when the node may run there, else its fastest allowed device.
int allowed_device(const PlacementProblem& problem, int node, int preferred);
/// Sum of all nodes' times on that device.
double total_time(const PlacementProblem& problem, int device);
/// The device of a kind with the smallest total time; -1 when there is none.
int fastest_device(const PlacementProblem& problem, DeviceKind kind);

PolicyPtr make_cpu_policy();
PolicyPtr make_gpu_policy();
PolicyPtr make_density_policy();
PolicyPtr make_greedy_policy();
PolicyPtr make_heft_policy();
PolicyPtr make_dp_policy();
PolicyPtr make_local_search_policy();
PolicyPtr make_round_robin_policy();
PolicyPtr make_random_policy();
PolicyPtr make_auto_policy();

/// Improves an assignment until `evaluations` are spent; never returns a worse one.
Assignment improve_locally(const PlacementProblem& problem, Assignment start, Objective objective, std::uint64_t seed,
                           int evaluations);
/// How many evaluations improving a problem of this size is worth by default.
int default_evaluations(const PlacementProblem& problem);

}  // namespace sparse_run
