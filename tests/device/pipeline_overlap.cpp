// Measures how well copies hide: a pipeline over two emulated GPUs whose copies take as long as their computing.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "graph/passes/sketch.hpp"
#include "tests/device/trial.hpp"

namespace sparse_run {
namespace {

constexpr int kRequests = 300;
constexpr int kRounds = 5;

Plan one_node_each(const Graph& graph) {
  Plan plan;
  plan.policy = "pipeline";
  for (NodeId id = 0; id < graph.nodes().size(); ++id) {
    PlannedPartition partition;
    partition.device = fmt::format("emulated:{}", id);
    partition.nodes = {id};
    plan.partitions.push_back(std::move(partition));
  }
  connect_partitions(plan, graph);
  return plan;
}

/// Six stages of `seconds` each per request: copy in, compute, copy out, on two devices.
void measure(double seconds, int in_flight) {
  gpu::EmulatedGpuOptions options;
  options.launch_s = seconds;
  options.copy_latency_s = seconds;
  const TrialDevices devices(2, options);
  GraphSketch sketch;
  const ValueId x = sketch.input("x", {1, 16 * 1024});
  const ValueId y = sketch.op("Sigmoid", {sketch.op("Relu", {x})});
  const auto session = trial_session(std::make_shared<const Graph>(sketch.build(y)), devices, one_node_each);
  std::mt19937_64 random(1);
  const std::vector<std::vector<Value>> inputs{random_inputs(*session, random)};
  const std::vector<std::vector<Value>> expected{session->run(inputs[0])};
  std::vector<double> ratios;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = Clock::now();
    const double wrong = run_side_by_side(*session, inputs, expected, in_flight, kRequests);
    if (wrong > 0) throw Error(ErrorKind::mismatch, "results differ between requests");
    ratios.push_back(seconds_since(start) / kRequests / seconds);
  }
  std::sort(ratios.begin(), ratios.end());
  fmt::print(
      "stages of {:.1f} ms, {:2} requests in flight: {:.3f} of the slowest stage per request (median of {}, {:.3f} to "
      "{:.3f})\n",
      seconds * 1e3, in_flight, ratios[kRounds / 2], kRounds, ratios.front(), ratios.back());
}

}  // namespace
}  // namespace sparse_run

int main() {
  try {
    for (const double seconds : {1e-3, 4e-3}) {
      for (const int in_flight : {1, 6, 8, 12}) sparse_run::measure(seconds, in_flight);
    }
  } catch (const sparse_run::Error& error) {
    fmt::print(stderr, "pipeline-overlap: {}\n", error.what());
    return sparse_run::exit_code(error.kind());
  }
  return 0;
}
