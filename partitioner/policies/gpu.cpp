// Policy "gpu": everything that can run there on the fastest GPU.
#include "partitioner/policies/policy.hpp"

namespace sparse_run {

namespace {

class GpuPolicy final : public Policy {
 public:
  std::string name() const override { return "gpu"; }
  std::string purpose() const override {
    return "everything that can run there on the fastest GPU; the CPU without one";
  }
  Assignment assign(const PlacementProblem& problem, const PolicyOptions&) const override {
    const int gpu = fastest_device(problem, DeviceKind::gpu);
    Assignment assignment;
    for (int node = 0; node < problem.node_count(); ++node) {
      assignment.push_back(allowed_device(problem, node, gpu >= 0 ? gpu : 0));
    }
    return assignment;
  }
};

}  // namespace

PolicyPtr make_gpu_policy() { return std::make_shared<GpuPolicy>(); }

}  // namespace sparse_run
