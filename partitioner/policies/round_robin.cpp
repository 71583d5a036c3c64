// Policy "round-robin": devices in turn, a baseline for experiments.
#include "partitioner/policies/policy.hpp"

namespace sparse_run {

namespace {

class RoundRobinPolicy final : public Policy {
 public:
  std::string name() const override { return "round-robin"; }
  std::string purpose() const override { return "devices in turn, whatever it costs: a baseline for experiments"; }
  std::vector<PolicyParameter> parameters() const override {
    return {{"run", "nodes that stay together before the next device's turn (1)"}};
  }
  Assignment assign(const PlacementProblem& problem, const PolicyOptions& options) const override {
    const int run = static_cast<int>(options.number_or("run", 1, 1, 1e6));
    Assignment assignment;
    for (int node = 0; node < problem.node_count(); ++node) {
      assignment.push_back(allowed_device(problem, node, node / run % problem.device_count()));
    }
    return assignment;
  }
};

}  // namespace

PolicyPtr make_round_robin_policy() { return std::make_shared<RoundRobinPolicy>(); }

}  // namespace sparse_run
