// Plans on a virtual clock: what hardware that is not there would do with a stream of requests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/ir/graph.hpp"
#include "partitioner/plan.hpp"
#include "partitioner/topology.hpp"

namespace sparse_run {

struct SimulationOptions {
  std::int64_t requests = 1;
  int in_flight = 2;           ///< requests that one replica works on at once
  int replicas = 1;            ///< copies of the plan, each on ranks of its own; requests go to the first that has room
  std::size_t kept_spans = 0;  ///< of the trace; later ones are counted, not kept
};

/// Something a device or link did. Times in seconds from the start.
struct SimulatedSpan {
  std::string track;  ///< "rank 3 gpu:0", "rank 3 cpu to gpu:0", "network from rank 0"
  std::string what;
  double begin = 0;
  double end = 0;
  std::int64_t request = 0;
  int rank = 0;
};

struct SimulatedUse {
  std::string name;  ///< as in SimulatedSpan::track
  double busy = 0;   ///< share of the makespan
  double bytes = 0;  ///< links only
};

struct Simulation {
  double makespan_s = 0;
  double throughput = 0;     ///< requests per second
  double latency_p50_s = 0;  ///< from the moment a replica takes a request until rank 0 has its outputs
  double latency_p99_s = 0;
  double device_busy_min = 0;  ///< shares of the makespan, over the devices that the plan uses
  double device_busy_mean = 0;
  double device_busy_max = 0;
  double link_bytes = 0;  ///< inside hosts
  double network_bytes = 0;
  std::vector<SimulatedUse> uses;  ///< every device and link that did something, busiest first; at most 1000
  std::vector<SimulatedSpan> spans;
  std::int64_t spans_left_out = 0;
};

/// Runs the plan, whose partitions and edges carry predictions (predict_plan). Replica i stands on ranks
/// [i · ranks of the plan, …). Inputs come from rank 0 and outputs return there. Devices, link directions and each
/// host's network directions serve one thing at a time, in the order in which things become ready.
/// Error(usage) when the plan needs ranks or devices that the topology does not have.
Simulation simulate(const Plan& plan, const Graph& graph, const Topology& topology, const SimulationOptions& options);

/// Chrome's trace format, for ui.perfetto.dev: a process per rank, a track per device and link.
std::string simulation_trace(const Simulation& simulation);

}  // namespace sparse_run
