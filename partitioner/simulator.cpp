// A discrete-event simulation of plans.
#include "partitioner/simulator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <queue>
#include <set>

#include "base/error.hpp"
#include "partitioner/placement_problem.hpp"

namespace sparse_run {

namespace {

constexpr std::size_t kMostUses = 1000;

/// A device, a direction of a link, or a direction of a host's network: serves one thing after the other.
struct Resource {
  std::string name;
  int rank = 0;
  bool is_device = false;
  bool is_network = false;
  double free = 0;
  double busy = 0;
  double bytes = 0;
};

/// One leg of a transfer.
struct Hop {
  int resource;
  int second;  ///< the other host's side of the network; -1: none
  double latency_s;
  double s_per_byte;
  double wake_s;  ///< of waking who waits at its end
};

struct Transfer {
  int to = -1;  ///< stage; -1: an output
  double bytes = 0;
  std::string what;
  std::vector<Hop> hops;
};

struct Stage {
  int resource = 0;
  double seconds = 0;
  double wake_s = 0;  ///< of waking who waits for its end
  int waits_for = 0;
  std::vector<int> transfers;  ///< that start when it is done
};

/// A plan on the resources of one replica.
struct Replica {
  std::vector<Stage> stages;
  std::vector<Transfer> transfers;
  std::vector<int> inputs;  ///< transfers that start with the request
  int outputs = 0;
};

struct Event {
  double time;
  std::int64_t order;  ///< ties are broken by who was first
  enum class Kind : std::uint8_t { ready, stage_done, hop_done } kind;
  int slot;  ///< of the request in flight
  int what;  ///< stage, or transfer
  int hop;

  bool operator>(const Event& other) const { return std::tie(time, order) > std::tie(other.time, other.order); }
};

struct InFlight {
  int replica = 0;
  std::int64_t request = 0;
  double begun = 0;
  int outputs_left = 0;
  std::vector<int> waits_for;
};

class Simulator {
 public:
  Simulator(const Plan& plan, const Graph& graph, const Topology& topology, const SimulationOptions& options)
      : plan_(plan), graph_(graph), topology_(topology), options_(options) {
    int ranks = 1;
    for (const PlannedPartition& partition : plan.partitions) ranks = std::max(ranks, partition.rank + 1);
    if (ranks > topology.ranks() / std::max(1, options.replicas)) {
      throw_error(ErrorKind::usage, "simulation: {} replicas of {} ranks need more than the {} hosts of '{}'",
                  options.replicas, ranks, topology.ranks(), topology.name);
    }
    for (int r = 0; r < options.replicas; ++r) replicas_.push_back(make_replica(r * ranks));
  }

  Simulation run() {
    for (int round = 0; round < options_.in_flight; ++round) {
      for (std::size_t r = 0; r < replicas_.size(); ++r) begin_request(static_cast<int>(r), 0);
    }
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      switch (event.kind) {
        case Event::Kind::ready:
          start_stage(event);
          break;
        case Event::Kind::stage_done:
          finish_stage(event);
          break;
        case Event::Kind::hop_done:
          continue_transfer(event);
          break;
      }
    }
    require(finished_ == options_.requests, "every simulated request comes to an end");
    return summary();
  }

 private:
  int resource(const std::string& name, int rank, bool is_device, bool is_network) {
    const auto [found, fresh] = by_name_.emplace(std::pair(rank, name), static_cast<int>(resources_.size()));
    if (fresh) {
      Resource made;
      made.name = is_network ? name : fmt::format("rank {} {}", rank, name);
      made.rank = rank;
      made.is_device = is_device;
      made.is_network = is_network;
      resources_.push_back(std::move(made));
    }
    return found->second;
  }

  double wake_s(int rank) const { return 1e-6 * topology_.host_of(rank).handover_us; }

  void add_link(std::vector<Hop>& hops, int rank, const std::string& from, const std::string& to) {
    const LinkSpec link = topology_.host_of(rank).link(from, to);
    hops.push_back({resource(from + " to " + to, rank, false, false), -1, link.latency_us * 1e-6,
                    1 / (link.gb_per_s * 1e9), wake_s(rank)});
  }

  std::vector<Hop> route(int from_rank, const std::string& from, int to_rank, const std::string& to) {
    std::vector<Hop> hops;
    if (from_rank == to_rank) {
      if (from != to) add_link(hops, from_rank, from, to);
      return hops;
    }
    const std::string& from_home = topology_.host_of(from_rank).cpu().name;
    const std::string& to_home = topology_.host_of(to_rank).cpu().name;
    if (from != from_home) add_link(hops, from_rank, from, from_home);
    hops.push_back({resource(fmt::format("network from rank {}", from_rank), from_rank, false, true),
                    resource(fmt::format("network to rank {}", to_rank), to_rank, false, true),
                    topology_.network_latency_us * 1e-6, 1 / (topology_.network_gb_per_s * 1e9), wake_s(to_rank)});
    if (to != to_home) add_link(hops, to_rank, to_home, to);
    return hops;
  }

  Replica make_replica(int first_rank) {
    Replica replica;
    const auto rank_of = [&](const PlannedPartition& partition) { return first_rank + partition.rank; };
    for (const PlannedPartition& partition : plan_.partitions) {
      const DeviceSpec* device = topology_.host_of(rank_of(partition)).find(partition.device);
      if (device == nullptr) {
        throw_error(ErrorKind::usage, "simulation: host '{}' has no device '{}'",
                    topology_.host_of(rank_of(partition)).name, partition.device);
      }
      replica.stages.push_back({resource(partition.device, rank_of(partition), true, false),
                                partition.predicted_s,
                                device->kind == DeviceKind::cpu ? 0 : wake_s(rank_of(partition)),
                                0,
                                {}});
    }
    const std::string home = topology_.host_of(0).cpu().name;
    const auto add = [&](int from, Transfer transfer) {
      if (from >= 0) {
        replica.stages[index(from)].transfers.push_back(static_cast<int>(replica.transfers.size()));
      } else {
        replica.inputs.push_back(static_cast<int>(replica.transfers.size()));
      }
      replica.transfers.push_back(std::move(transfer));
    };
    for (const PlannedEdge& edge : plan_.edges) {
      const PlannedPartition& to = plan_.partitions[index(edge.to)];
      const int from_rank = edge.from < 0 ? 0 : rank_of(plan_.partitions[index(edge.from)]);
      const std::string& from = edge.from < 0 ? home : plan_.partitions[index(edge.from)].device;
      Transfer transfer;
      transfer.to = edge.to;
      transfer.bytes = static_cast<double>(edge.bytes);
      transfer.what = graph_.value(edge.value).name;
      transfer.hops = route(from_rank, from, rank_of(to), to.device);
      ++replica.stages[index(edge.to)].waits_for;
      add(edge.from, std::move(transfer));
    }
    std::vector<int> partition_of(graph_.nodes().size(), -1);
    for (std::size_t p = 0; p < plan_.partitions.size(); ++p) {
      for (const NodeId node : plan_.partitions[p].nodes) partition_of[node] = static_cast<int>(p);
    }
    for (const ValueId output : graph_.outputs()) {
      const auto producer = graph_.producer(output);
      if (!producer || partition_of[*producer] < 0) continue;
      const int from = partition_of[*producer];
      const PlannedPartition& partition = plan_.partitions[index(from)];
      const Type& type = graph_.value(output).type;
      Transfer transfer;
      if (type.is_concrete()) {
        transfer.bytes =
            static_cast<double>(element_count(*type.shape)) * static_cast<double>(element_size(type.dtype));
      }
      transfer.what = graph_.value(output).name;
      transfer.hops = route(rank_of(partition), partition.device, 0, home);
      add(from, std::move(transfer));
      ++replica.outputs;
    }
    // A partition that nobody reads still has to end.
    for (std::size_t p = 0; p < plan_.partitions.size(); ++p) {
      if (!replica.stages[p].transfers.empty()) continue;
      add(static_cast<int>(p), Transfer{});
      ++replica.outputs;
    }
    return replica;
  }

  static std::size_t index(int i) { return static_cast<std::size_t>(i); }

  void push(double time, Event::Kind kind, int slot, int what, int hop = 0) {
    events_.push({time, order_++, kind, slot, what, hop});
  }

  void begin_request(int r, double now) {
    if (begun_ == options_.requests) return;
    int slot = 0;
    if (free_slots_.empty()) {
      slot = static_cast<int>(in_flight_.size());
      in_flight_.emplace_back();
    } else {
      slot = free_slots_.back();
      free_slots_.pop_back();
    }
    const Replica& replica = replicas_[index(r)];
    InFlight& request = in_flight_[index(slot)];
    request.replica = r;
    request.request = begun_++;
    request.begun = now;
    request.outputs_left = replica.outputs;
    request.waits_for.resize(replica.stages.size());
    for (std::size_t s = 0; s < replica.stages.size(); ++s) {
      request.waits_for[s] = replica.stages[s].waits_for;
      if (request.waits_for[s] == 0) push(now, Event::Kind::ready, slot, static_cast<int>(s));
    }
    for (const int transfer : replica.inputs) push(now, Event::Kind::hop_done, slot, transfer, -1);
    if (replica.stages.empty()) {
      ++finished_;
      free_slots_.push_back(slot);
    }
  }

  void record(const Resource& track, std::string_view what, double begin, double end, std::int64_t request) {
    if (options_.kept_spans == 0) return;
    if (result_.spans.size() >= options_.kept_spans) {
      ++result_.spans_left_out;
      return;
    }
    result_.spans.push_back({track.name, std::string(what), begin, end, request, track.rank});
  }

  void start_stage(const Event& event) {
    const InFlight& request = in_flight_[index(event.slot)];
    const Stage& stage = replicas_[index(request.replica)].stages[index(event.what)];
    Resource& device = resources_[index(stage.resource)];
    const double begin = std::max(event.time, device.free);
    device.free = begin + stage.seconds;
    device.busy += stage.seconds;
    if (options_.kept_spans > 0) {
      record(device, fmt::format("partition {}", event.what), begin, device.free, request.request);
    }
    push(device.free + handover_after(stage.seconds, stage.wake_s), Event::Kind::stage_done, event.slot, event.what);
  }

  void finish_stage(const Event& event) {
    const Replica& replica = replicas_[index(in_flight_[index(event.slot)].replica)];
    for (const int transfer : replica.stages[index(event.what)].transfers) {
      push(event.time, Event::Kind::hop_done, event.slot, transfer, -1);
    }
  }

  /// The transfer has come through hop `event.hop` (-1: it is about to start).
  void continue_transfer(const Event& event) {
    const int r = in_flight_[index(event.slot)].replica;
    const Transfer& transfer = replicas_[index(r)].transfers[index(event.what)];
    const std::size_t next = index(event.hop + 1);
    if (next < transfer.hops.size()) {
      const Hop& hop = transfer.hops[next];
      Resource& link = resources_[index(hop.resource)];
      double begin = std::max(event.time, link.free);
      if (hop.second >= 0) begin = std::max(begin, resources_[index(hop.second)].free);
      // The line is taken for the bytes; latency passes while it serves others.
      const double taken = transfer.bytes * hop.s_per_byte;
      for (const int side : {hop.resource, hop.second}) {
        if (side < 0) continue;
        Resource& used = resources_[index(side)];
        used.free = begin + taken;
        used.busy += taken;
        used.bytes += transfer.bytes;
      }
      const double moved = taken + hop.latency_s;
      const double end = begin + moved + handover_after(moved, hop.wake_s);
      record(link, transfer.what, begin, end, in_flight_[index(event.slot)].request);
      push(end, Event::Kind::hop_done, event.slot, event.what, static_cast<int>(next));
      return;
    }
    InFlight& request = in_flight_[index(event.slot)];
    if (transfer.to >= 0) {
      if (--request.waits_for[index(transfer.to)] == 0) push(event.time, Event::Kind::ready, event.slot, transfer.to);
      return;
    }
    if (--request.outputs_left > 0) return;
    latencies_.push_back(static_cast<float>(event.time - request.begun));
    result_.makespan_s = std::max(result_.makespan_s, event.time);
    ++finished_;
    free_slots_.push_back(event.slot);
    begin_request(r, event.time);
  }

  Simulation summary() {
    Simulation& result = result_;
    const double span = std::max(result.makespan_s, 1e-12);
    result.throughput = static_cast<double>(options_.requests) / span;
    if (!latencies_.empty()) {
      std::sort(latencies_.begin(), latencies_.end());
      result.latency_p50_s = static_cast<double>(latencies_[latencies_.size() / 2]);
      result.latency_p99_s = static_cast<double>(latencies_[latencies_.size() * 99 / 100]);
    }
    result.device_busy_min = 1;
    int devices = 0;
    for (const Resource& used : resources_) {
      if (used.is_device) {
        const double share = used.busy / span;
        result.device_busy_min = std::min(result.device_busy_min, share);
        result.device_busy_max = std::max(result.device_busy_max, share);
        result.device_busy_mean += share;
        ++devices;
      } else if (!used.is_network) {
        result.link_bytes += used.bytes;
      } else if (used.name.starts_with("network from")) {
        result.network_bytes += used.bytes;
      }
      if (used.busy > 0) result.uses.push_back({used.name, used.busy / span, used.bytes});
    }
    if (devices > 0) result.device_busy_mean /= devices;
    std::stable_sort(result.uses.begin(), result.uses.end(),
                     [](const auto& a, const auto& b) { return a.busy > b.busy; });
    if (result.uses.size() > kMostUses) result.uses.resize(kMostUses);
    return std::move(result);
  }

  const Plan& plan_;
  const Graph& graph_;
  const Topology& topology_;
  const SimulationOptions& options_;
  std::vector<Resource> resources_;
  std::map<std::pair<int, std::string>, int> by_name_;
  std::vector<Replica> replicas_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::int64_t order_ = 0;
  std::vector<InFlight> in_flight_;
  std::vector<int> free_slots_;
  std::int64_t begun_ = 0;
  std::int64_t finished_ = 0;
  std::vector<float> latencies_;
  Simulation result_;
};

}  // namespace

Simulation simulate(const Plan& plan, const Graph& graph, const Topology& topology, const SimulationOptions& options) {
  if (options.requests < 1 || options.in_flight < 1 || options.replicas < 1) {
    throw Error(ErrorKind::usage, "simulation: requests, requests in flight and replicas have to be at least 1");
  }
  return Simulator(plan, graph, topology, options).run();
}

std::string simulation_trace(const Simulation& simulation) {
  using OrderedJson = nlohmann::ordered_json;
  OrderedJson events = OrderedJson::array();
  std::map<std::pair<int, std::string>, int> tracks;
  std::set<int> ranks;
  for (const SimulatedSpan& span : simulation.spans) {
    const auto [track, fresh] = tracks.emplace(std::pair(span.rank, span.track), static_cast<int>(tracks.size()) + 1);
    if (ranks.insert(span.rank).second) {
      events.push_back({{"name", "process_name"},
                        {"ph", "M"},
                        {"pid", span.rank},
                        {"tid", 0},
                        {"args", {{"name", fmt::format("rank {}", span.rank)}}}});
    }
    if (fresh) {
      events.push_back({{"name", "thread_name"},
                        {"ph", "M"},
                        {"pid", span.rank},
                        {"tid", track->second},
                        {"args", {{"name", span.track}}}});
    }
    events.push_back({{"name", span.what},
                      {"cat", "simulated"},
                      {"ph", "X"},
                      {"ts", span.begin * 1e6},
                      {"dur", (span.end - span.begin) * 1e6},
                      {"pid", span.rank},
                      {"tid", track->second},
                      {"args", {{"request", span.request}}}});
  }
  const OrderedJson json = {{"traceEvents", std::move(events)}, {"spansLeftOut", simulation.spans_left_out}};
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + '\n';
}

}  // namespace sparse_run
