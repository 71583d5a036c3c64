// What a policy is asked: the nodes, devices, times, values and limits of one placement, as flat arrays.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/ir/graph.hpp"
#include "partitioner/cost_model.hpp"
#include "partitioner/topology.hpp"

namespace sparse_run {

/// Seconds from the end of something to the start of what waited for it, when waking a thread takes `wake_s`: who waits
/// briefly has stayed awake, who waits longer has gone to sleep.
inline double handover_after(double seconds, double wake_s) {
  constexpr double kAwake = 40e-6;
  constexpr double kAsleep = 140e-6;
  return wake_s * std::clamp((seconds - kAwake) / (kAsleep - kAwake), 0.0, 1.0);
}

/// A device that nodes may be placed on.
struct CandidateDevice {
  DeviceSpec spec;
  int rank = 0;
  std::size_t memory_limit = 0;  ///< bytes it may hold
  double dispatch_s = 0;         ///< for every partition
  double handover_s = 0;         ///< of waking who waits for a partition; 0 where it ends on the thread that goes on
};

/// A value that may have to be copied.
struct FlowingValue {
  ValueId id = kNoValue;
  int producer = -1;  ///< node; -1: an input of the graph, which lies on device 0
  std::size_t bytes = 0;
  bool is_output = false;    ///< has to end on device 0
  std::vector<int> readers;  ///< nodes, ascending, each once
};

/// Immutable once built. Device 0 is the CPU of rank 0, where inputs and outputs of the graph live. Per-node-and-device
/// arrays are node-major: [node * devices + device].
struct PlacementProblem {
  const Graph* graph = nullptr;  ///< outlives the problem
  std::vector<CandidateDevice> devices;
  std::vector<NodeWork> works;  ///< per node
  std::vector<double> seconds;
  std::vector<float> confidence;
  std::vector<std::uint8_t> sparse;             ///< a sparse kernel is expected there
  std::vector<std::uint8_t> allowed;            ///< by pins and by what a device can hold and run
  std::map<std::size_t, std::string> refusals;  ///< by at(node, device): why a device cannot run a node
  std::vector<std::size_t> weight_bytes;        ///< in the format expected there
  std::vector<double> copy_contention;          ///< per rank: a copy takes so many times as long beside another one
  std::vector<double> compute_contention;       ///< per rank: its CPU computes so many times as long beside a copy
  std::vector<int> pinned;                      ///< per node: device, or -1
  std::vector<FlowingValue> values;
  std::vector<std::vector<int>> reads;   ///< per node: indices into values
  std::vector<std::vector<int>> writes;  ///< per node
  std::vector<double> copy_latency_s;    ///< [from * devices + to]
  std::vector<double> copy_wake_s;       ///< likewise: of waking who waits for a copy
  std::vector<double> copy_s_per_byte;

  int node_count() const { return static_cast<int>(works.size()); }
  int device_count() const { return static_cast<int>(devices.size()); }
  std::size_t at(int node, int device) const {
    return static_cast<std::size_t>(node) * devices.size() + static_cast<std::size_t>(device);
  }
  double time(int node, int device) const { return seconds[at(node, device)]; }
  bool may(int node, int device) const { return allowed[at(node, device)] != 0; }
  double copy_time(int from, int to, std::size_t bytes) const {
    if (from == to) return 0;
    const auto link = static_cast<std::size_t>(from) * devices.size() + static_cast<std::size_t>(to);
    const double moving = copy_latency_s[link] + copy_s_per_byte[link] * static_cast<double>(bytes);
    return moving + handover_after(moving, copy_wake_s[link]);
  }
  /// Of a partition whose nodes take `computing` seconds: starting it, and until its end is known.
  double overhead(int device, double computing) const {
    const CandidateDevice& where = devices[static_cast<std::size_t>(device)];
    return where.dispatch_s + handover_after(where.dispatch_s + computing, where.handover_s);
  }
  bool is_gpu(int device) const { return devices[static_cast<std::size_t>(device)].spec.kind == DeviceKind::gpu; }
};

/// Why a device cannot run a node, in words a user understands; empty when it can, or no such device is open.
using DeviceRefusal = std::function<std::string(const std::string& device, const Graph& graph, const Node& node)>;

/// A device of the problem and the share of it a person allows; see make_problem.
struct PlacementRequest {
  const Topology* topology = nullptr;
  std::vector<std::string> devices;                    ///< names; empty: all of the topology
  int ranks = 1;                                       ///< hosts to place on, from rank 0
  std::map<std::string, std::uint64_t> memory_limits;  ///< by device name; default: 80% of its memory
  std::vector<int> pinned_device;                      ///< per node: index into the devices made from this, or -1
  const CostModel* costs = nullptr;
  ZeroCounts* zeros = nullptr;
  DeviceRefusal refusal = {};  ///< asked about devices other than the CPU of rank 0; empty: they run everything
};

/// The devices a request comes to, CPU of rank 0 first. Error(usage) for a name that the topology does not have.
std::vector<CandidateDevice> candidate_devices(const PlacementRequest& request);

/// Measures every node's work and predicts its time on every device.
PlacementProblem make_problem(const Graph& graph, const PlacementRequest& request);

/// The same problem for `factor` times the batch, or with the weights of `node` holding this share of zeros: what
/// --explain asks to find what would flip a choice.
double predicted_for_batch(const PlacementProblem& problem, const CostModel& costs, int node, int device,
                           double factor);
double predicted_for_zeros(const PlacementProblem& problem, const CostModel& costs, int node, int device, double share);

}  // namespace sparse_run
