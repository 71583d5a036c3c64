// Policy "cpu": everything on the CPU.
#include "partitioner/policies/policy.hpp"

namespace sparse_run {

namespace {

class CpuPolicy final : public Policy {
 public:
  std::string name() const override { return "cpu"; }
  std::string purpose() const override { return "everything on the CPU"; }
  Assignment assign(const PlacementProblem& problem, const PolicyOptions&) const override {
    Assignment assignment;
    for (int node = 0; node < problem.node_count(); ++node) assignment.push_back(allowed_device(problem, node, 0));
    return assignment;
  }
};

}  // namespace

PolicyPtr make_cpu_policy() { return std::make_shared<CpuPolicy>(); }

}  // namespace sparse_run
