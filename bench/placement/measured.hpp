// Running plans on the CPU and emulated GPUs, to set measurements beside predictions.
#pragma once

#include <memory>
#include <vector>

#include "partitioner/plan.hpp"
#include "partitioner/topology.hpp"
#include "runtime/session.hpp"

namespace sparse_run::bench {

/// Whether every device of the first host is the CPU or emulated.
bool can_run(const Topology& topology);

/// One plan, compiled and fed with random inputs. The graph is resolved: its shapes are concrete.
class MeasuredPlan {
 public:
  MeasuredPlan(std::shared_ptr<const Graph> graph, const Plan& plan, const Topology& topology);
  /// Seconds of one request.
  double run_once();

 private:
  std::unique_ptr<Session> session_;
  std::vector<Value> inputs_;
};

}  // namespace sparse_run::bench
