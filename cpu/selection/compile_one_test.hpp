// For tests: compiles a whole graph for the CPU with chosen kernels and runs it.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "cpu/device.hpp"
#include "cpu/reference/pass_check.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::cpu {

/// All of `graph`, whose types are concrete, on `device`; `kernels` by node.
inline std::unique_ptr<Executable> compile_whole(const Graph& graph, Device& device,
                                                 std::unordered_map<NodeId, std::string> kernels = {}) {
  Partition partition;
  partition.graph = std::make_shared<const Graph>(graph);
  for (NodeId id = 0; id < graph.nodes().size(); ++id) partition.nodes.push_back(id);
  partition.inputs.assign(graph.inputs().begin(), graph.inputs().end());
  partition.outputs.assign(graph.outputs().begin(), graph.outputs().end());
  CompileOptions options;
  options.threads = 2;
  options.kernels = std::move(kernels);
  return device.compile(partition, options);
}

inline std::vector<Value> run_whole(const Executable& executable, const Graph& graph, std::span<const Value> inputs) {
  std::vector<Value> outputs(graph.outputs().size());
  std::mt19937_64 generator;  // reference kernels that run others hand it on
  RunState state;
  state.random = &generator;
  executable.run(inputs, outputs, state);
  return outputs;
}

}  // namespace sparse_run::cpu
