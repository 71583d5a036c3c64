// For tests: runs a graph through compiled CPU steps and compares with the reference kernels.
#pragma once

#include <memory>

#include "cpu/program.hpp"
#include "cpu/reference/pass_check.hpp"
#include "cpu/selection/selector.hpp"

namespace sparse_run::cpu {

/// Compiles the graph as one partition, runs it on random inputs and compares. Returns what ran.
inline std::vector<LayerReport> check_steps(Graph given, int threads, double tolerance = 1e-4) {
  const auto graph = std::make_shared<const Graph>(reference::resolved(given));
  Partition partition;
  partition.graph = graph;
  for (NodeId id = 0; id < graph->nodes().size(); ++id) partition.nodes.push_back(id);
  partition.inputs.assign(graph->inputs().begin(), graph->inputs().end());
  partition.outputs.assign(graph->outputs().begin(), graph->outputs().end());
  Machine machine;
  machine.cores = threads;
  const Program program(partition, Environment{.machine = machine, .threads = threads},
                        CompileOptions{.threads = threads}, SelectionPolicy{});
  const unsigned seed = std::random_device{}();
  const testing::ScopedTrace trace(__FILE__, __LINE__, "seed " + std::to_string(seed));
  const auto inputs = reference::random_inputs(*graph, seed);
  std::vector<Value> outputs(partition.outputs.size());
  RunState state;
  program.run(inputs, outputs, state);
  const auto expected = reference::run_graph(*graph, inputs);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    reference::expect_close(outputs[i].tensor, expected[i].tensor, tolerance);
  }
  return program.layers();
}

}  // namespace sparse_run::cpu
