// Policy "density": sparse layers and large tables on the CPU, dense layers that compute much on the GPU.
#include "partitioner/policies/policy.hpp"

namespace sparse_run {

namespace {

constexpr int kUndecided = -1;

class DensityPolicy final : public Policy {
 public:
  std::string name() const override { return "density"; }
  std::string purpose() const override {
    return "a rule of thumb: sparse layers and tables on the CPU, dense layers that compute much on the GPU";
  }
  std::vector<PolicyParameter> parameters() const override {
    return {{"zeros", "share of zeros from which a layer counts as sparse (0.8)"},
            {"intensity", "operations per byte from which a dense layer counts as heavy (4)"}};
  }

  Assignment assign(const PlacementProblem& problem, const PolicyOptions& options) const override {
    const double zeros = options.number_or("zeros", 0.8, 0, 1);
    const double intensity = options.number_or("intensity", 4, 0, 1e9);
    const int gpu = fastest_device(problem, DeviceKind::gpu);
    Assignment assignment(problem.works.size(), kUndecided);
    for (int node = 0; node < problem.node_count(); ++node) {
      const NodeWork& work = problem.works[static_cast<std::size_t>(node)];
      int& device = assignment[static_cast<std::size_t>(node)];
      if (problem.pinned[static_cast<std::size_t>(node)] >= 0 || gpu < 0) {
        device = allowed_device(problem, node, 0);
      } else if (work.weights > 0) {
        const double bytes = work.activation_bytes + work.dense_weight_bytes();
        const bool heavy = work.layer != LayerClass::movement && work.dense_flops >= intensity * bytes;
        device = allowed_device(problem, node, heavy && work.zeros < zeros ? gpu : 0);
      } else {
        device = followed(problem, assignment, node);
        if (device != kUndecided) device = allowed_device(problem, node, device);
      }
    }
    // What stands before the first layer with weights goes where its results are read.
    for (int node = problem.node_count(); node-- > 0;) {
      int& device = assignment[static_cast<std::size_t>(node)];
      if (device != kUndecided) continue;
      int wanted = 0;
      for (const int v : problem.writes[static_cast<std::size_t>(node)]) {
        const FlowingValue& value = problem.values[static_cast<std::size_t>(v)];
        if (!value.readers.empty()) wanted = assignment[static_cast<std::size_t>(value.readers.front())];
      }
      device = allowed_device(problem, node, wanted);
    }
    return assignment;
  }

 private:
  /// The device that computes the node's largest operand.
  static int followed(const PlacementProblem& problem, const Assignment& assignment, int node) {
    int device = kUndecided;
    std::size_t largest = 0;
    for (const int v : problem.reads[static_cast<std::size_t>(node)]) {
      const FlowingValue& value = problem.values[static_cast<std::size_t>(v)];
      if (value.producer < 0 || value.bytes < largest) continue;
      largest = value.bytes;
      device = assignment[static_cast<std::size_t>(value.producer)];
    }
    return device;
  }
};

}  // namespace

PolicyPtr make_density_policy() { return std::make_shared<DensityPolicy>(); }

}  // namespace sparse_run
