// Building the arrays that policies work on.
#include "partitioner/placement_problem.hpp"

#include <algorithm>
#include <unordered_map>

#include "base/error.hpp"

namespace sparse_run {

namespace {

constexpr double kMemoryShare = 0.8;

void connect_devices(PlacementProblem& problem, const Topology& topology) {
  const std::size_t count = problem.devices.size();
  problem.copy_latency_s.assign(count * count, 0);
  problem.copy_s_per_byte.assign(count * count, 0);
  problem.copy_wake_s.assign(count * count, 0);
  for (std::size_t from = 0; from < count; ++from) {
    for (std::size_t to = 0; to < count; ++to) {
      if (from == to) continue;
      const CandidateDevice& a = problem.devices[from];
      const CandidateDevice& b = problem.devices[to];
      double latency = 0;
      double per_byte = 0;
      // Between two devices of a host values pass through its memory: two copies, and each has an end to hear of.
      const HostSpec& host = topology.host_of(b.rank);
      const bool passes = a.rank == b.rank && a.spec.kind != DeviceKind::cpu && b.spec.kind != DeviceKind::cpu;
      problem.copy_wake_s[from * count + to] = (passes ? 2 : 1) * host.handover_us * 1e-6;
      const auto add = [&](double gb_per_s, double microseconds) {
        latency += microseconds * 1e-6;
        per_byte += 1 / (gb_per_s * 1e9);
      };
      if (a.rank == b.rank) {
        const LinkSpec link = host.link(a.spec.name, b.spec.name);
        add(link.gb_per_s, link.latency_us);
      } else {  // to the host's memory, over the network, to the device
        for (const CandidateDevice* end : {&a, &b}) {
          if (end->spec.kind == DeviceKind::cpu) continue;
          const LinkSpec link = topology.host_of(end->rank).link(end->spec.name, "cpu");
          add(link.gb_per_s, link.latency_us);
        }
        add(topology.network_gb_per_s, topology.network_latency_us);
      }
      problem.copy_latency_s[from * count + to] = latency;
      problem.copy_s_per_byte[from * count + to] = per_byte;
    }
  }
}

void collect_values(PlacementProblem& problem, const Graph& graph) {
  std::vector<int> index(graph.values().size(), -1);
  problem.reads.resize(graph.nodes().size());
  problem.writes.resize(graph.nodes().size());
  for (std::size_t id = 0; id < graph.values().size(); ++id) {
    const ValueDef& value = graph.values()[id];
    if (value.constant) continue;
    const auto producer = graph.producer(static_cast<ValueId>(id));
    const auto readers = graph.consumers(static_cast<ValueId>(id));
    FlowingValue flowing;
    flowing.id = static_cast<ValueId>(id);
    flowing.producer = producer ? static_cast<int>(*producer) : -1;
    flowing.is_output = graph.is_output(static_cast<ValueId>(id));
    if (readers.empty() && !flowing.is_output) continue;
    if (value.type.is_concrete()) {
      flowing.bytes = static_cast<std::size_t>(element_count(*value.type.shape)) * element_size(value.type.dtype);
    }
    for (const NodeId reader : readers) {
      flowing.readers.push_back(static_cast<int>(reader));
      problem.reads[reader].push_back(static_cast<int>(problem.values.size()));
    }
    if (producer) problem.writes[*producer].push_back(static_cast<int>(problem.values.size()));
    problem.values.push_back(std::move(flowing));
  }
}

}  // namespace

std::vector<CandidateDevice> candidate_devices(const PlacementRequest& request) {
  const Topology& topology = *request.topology;
  for (const std::string& name : request.devices) {
    const bool known = std::any_of(topology.hosts.begin(), topology.hosts.end(),
                                   [&](const HostSpec& host) { return host.find(name) != nullptr; });
    if (!known) throw_error(ErrorKind::usage, "device '{}' is not in the topology '{}'", name, topology.name);
  }
  std::vector<CandidateDevice> devices;
  const int ranks = std::min(request.ranks, topology.ranks());
  for (int rank = 0; rank < ranks; ++rank) {
    const HostSpec& host = topology.host_of(rank);
    std::vector<const DeviceSpec*> ordered = {&host.cpu()};
    for (const DeviceSpec& device : host.devices) {
      if (device.kind != DeviceKind::cpu) ordered.push_back(&device);
    }
    for (const DeviceSpec* device : ordered) {
      const bool wanted = request.devices.empty() || std::find(request.devices.begin(), request.devices.end(),
                                                               device->name) != request.devices.end();
      const bool is_home = rank == 0 && device->kind == DeviceKind::cpu;  // always there: it holds inputs and outputs
      if (!wanted && !is_home) continue;
      CandidateDevice candidate;
      candidate.spec = *device;
      candidate.rank = rank;
      const auto limit = request.memory_limits.find(device->name);
      candidate.memory_limit = limit != request.memory_limits.end()
                                   ? static_cast<std::size_t>(limit->second)
                                   : static_cast<std::size_t>(kMemoryShare * static_cast<double>(device->memory_bytes));
      candidate.dispatch_s = device->dispatch_us * 1e-6;
      // A partition in the host's memory ends on the thread that goes on with what comes after it.
      if (device->kind != DeviceKind::cpu) candidate.handover_s = host.handover_us * 1e-6;
      devices.push_back(std::move(candidate));
    }
  }
  return devices;
}

PlacementProblem make_problem(const Graph& graph, const PlacementRequest& request) {
  PlacementProblem problem;
  problem.graph = &graph;
  problem.devices = candidate_devices(request);
  connect_devices(problem, *request.topology);
  for (int rank = 0; rank <= problem.devices.back().rank; ++rank) {
    problem.copy_contention.push_back(request.topology->host_of(rank).copy_contention);
    problem.compute_contention.push_back(request.topology->host_of(rank).compute_contention);
  }
  collect_values(problem, graph);
  const std::size_t nodes = graph.nodes().size();
  const std::size_t entries = nodes * problem.devices.size();
  problem.seconds.resize(entries);
  problem.confidence.resize(entries);
  problem.sparse.resize(entries);
  problem.allowed.resize(entries);
  problem.weight_bytes.resize(entries);
  problem.pinned.assign(nodes, -1);
  const bool home_wanted = request.devices.empty() || std::find(request.devices.begin(), request.devices.end(),
                                                                problem.devices[0].spec.name) != request.devices.end();
  const bool keyed = request.costs->calibration() != nullptr;
  for (std::size_t n = 0; n < nodes; ++n) {
    const Node& node = graph.nodes()[n];
    problem.works.push_back(work_of(graph, node, *request.zeros));
    const NodeWork& work = problem.works.back();
    const std::string key = keyed ? layer_key(graph, node, work) : std::string();
    if (n < request.pinned_device.size()) problem.pinned[n] = request.pinned_device[n];
    for (std::size_t d = 0; d < problem.devices.size(); ++d) {
      const DeviceSpec& device = problem.devices[d].spec;
      const Prediction prediction = request.costs->predict(work, device, key);
      const std::size_t at = n * problem.devices.size() + d;
      problem.seconds[at] = prediction.seconds;
      problem.confidence[at] = static_cast<float>(prediction.confidence);
      problem.sparse[at] = prediction.sparse;
      problem.weight_bytes[at] =
          static_cast<std::size_t>(prediction.sparse ? work.sparse_weight_bytes() : work.dense_weight_bytes());
      bool able = d == 0 ? home_wanted || !work.movable : device.kind == DeviceKind::cpu || work.movable;
      std::string refused =
          d > 0 && able && request.refusal ? request.refusal(device.name, graph, node) : std::string();
      if (!refused.empty()) {
        able = false;
        problem.refusals.emplace(at, std::move(refused));
      }
      problem.allowed[at] = problem.pinned[n] >= 0 ? problem.pinned[n] == static_cast<int>(d) : able;
    }
  }
  return problem;
}

double predicted_for_batch(const PlacementProblem& problem, const CostModel& costs, int node, int device,
                           double factor) {
  return costs
      .predict(problem.works[static_cast<std::size_t>(node)].for_batch(factor),
               problem.devices[static_cast<std::size_t>(device)].spec)
      .seconds;
}

double predicted_for_zeros(const PlacementProblem& problem, const CostModel& costs, int node, int device,
                           double share) {
  return costs
      .predict(problem.works[static_cast<std::size_t>(node)].with_zeros(share),
               problem.devices[static_cast<std::size_t>(device)].spec)
      .seconds;
}

}  // namespace sparse_run
