// Policy "random": any valid placement, a baseline for experiments and a source of test cases.
#include <random>

#include "partitioner/policies/policy.hpp"

namespace sparse_run {

namespace {

class RandomPolicy final : public Policy {
 public:
  std::string name() const override { return "random"; }
  std::string purpose() const override {
    return "any valid placement by --seed: a baseline, and a source of test cases";
  }
  std::vector<PolicyParameter> parameters() const override {
    return {{"switch", "chance that a node leaves the device of the node before it (0.2)"}};
  }
  Assignment assign(const PlacementProblem& problem, const PolicyOptions& options) const override {
    const double chance = options.number_or("switch", 0.2, 0, 1);
    std::mt19937_64 random(options.seed);
    // Distributions of the standard library differ between implementations; plain arithmetic does not.
    const auto below = [&](int count) { return static_cast<int>(random() % static_cast<std::uint64_t>(count)); };
    Assignment assignment;
    int device = below(problem.device_count());
    for (int node = 0; node < problem.node_count(); ++node) {
      if (static_cast<double>(random() >> 11) * 0x1p-53 < chance) device = below(problem.device_count());
      assignment.push_back(allowed_device(problem, node, device));
    }
    return assignment;
  }
};

}  // namespace

PolicyPtr make_random_policy() { return std::make_shared<RandomPolicy>(); }

}  // namespace sparse_run
