// Plans for one graph timed against each other on the devices that are here.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "runtime/session.hpp"

namespace sparse_run {

/// One plan, compiled and fed with made-up inputs.
class PlanTrial {
 public:
  /// `graph` is resolved: its input types are concrete, of f32, integers or bool, and no pass is run over it again.
  /// Error(unsupported) for other inputs; what compiling and the first run may throw.
  PlanTrial(std::shared_ptr<const Graph> graph, const Plan& plan, std::vector<std::shared_ptr<Device>> devices,
            std::shared_ptr<Evaluator> evaluator, SessionOptions options);
  /// Seconds of one request.
  double run_once();
  /// The same request once more, which costs a little for looking at the clock: seconds of every partition of the plan.
  std::vector<double> partition_seconds();

 private:
  std::unique_ptr<Session> session_;
  std::vector<Value> inputs_;
};

struct PlanTrialOptions {
  double budget_s = 1;  ///< for everything; the first two plans are measured even when they take longer
  double slower = 1.5;  ///< a plan that takes so many times as long in its first runs is given up
};

/// Median seconds of a request under each plan, NaN where a plan was not measured: it came too late, or could not be
/// compiled or run. Every plan runs by turns with the best so far, so that both see the same machine; two plans are in
/// memory at a time. Plans come most promising first.
std::vector<double> time_plans(const Graph& graph, std::span<const Plan> plans,
                               const std::vector<std::shared_ptr<Device>>& devices,
                               const std::shared_ptr<Evaluator>& evaluator, const SessionOptions& options,
                               const PlanTrialOptions& trial);

}  // namespace sparse_run
