// For tests: one node on the CUDA device over the host's libraries, compared with the oracle.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "gpu/cuda/device.hpp"
#include "graph/ir/graph.hpp"
#include "tests/cuda/host/host_cuda.hpp"
#include "tests/device/divergence.hpp"

namespace sparse_run::gpu::cuda {

/// A node with operands that are given at run time or constant.
class NodeTrial {
 public:
  explicit NodeTrial(std::string op, int opset = 21, std::string_view domain = "");
  NodeTrial& with(std::string attribute, Attribute value);
  /// All attributes that `store(node)` sets.
  template <class Store>
  NodeTrial& with_all(Store&& store) {
    Node node = node_;
    store(node);
    node_.attributes = node.attributes;
    return *this;
  }
  NodeTrial& operand(Tensor tensor);
  NodeTrial& constant(Tensor tensor);
  NodeTrial& omitted();
  NodeTrial& results(std::size_t count);

  /// The graph of the node, its values typed as the oracle's results are.
  std::shared_ptr<const Graph> graph() const;
  std::vector<Value> expected() const;
  /// Why the device cannot run it; empty when it can.
  std::string refusal(Device& device) const;
  /// What the device computes, and by which kernel.
  struct Outcome {
    std::vector<Tensor> results;
    std::string kernel;
    std::string refusals;
  };
  Outcome run(Device& device, const std::string& kernel = "") const;

 private:
  struct Operand {
    Tensor tensor;
    bool constant;
  };
  Node node_;
  std::vector<Operand> operands_;
  std::size_t results_ = 1;
};

/// All outputs of a graph for these inputs, computed as one partition.
NodeTrial::Outcome run_graph(Device& device, const std::shared_ptr<const Graph>& graph,
                             const std::vector<Tensor>& inputs, const std::string& kernel = "");

/// The GPU that tests are told to run on, by the environment variable SPARSE_RUN_TEST_GPU; nullopt: on the host.
std::optional<int> tested_gpu();

/// A CUDA device over the host's libraries, or over the driver alone; on the GPU that is tested where there is one.
std::shared_ptr<Device> host_device(const GpuOptions& options = {.generated = false}, bool bare = false);

/// f32 in [-1, 1); `zeros`: the share of them that is 0.
Tensor random_tensor(std::mt19937_64& random, Shape shape, double zeros = 0);

}  // namespace sparse_run::gpu::cuda
