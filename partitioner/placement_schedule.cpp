// Forming partitions, and running them on a virtual clock.
#include "partitioner/placement_schedule.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <queue>
#include <utility>

#include "base/error.hpp"

namespace sparse_run {

namespace {

constexpr double kDoesNotFit = 1e9;

std::size_t index(int i) { return static_cast<std::size_t>(i); }

/// What kernels hold beside a node's values while it runs: operands and results of products rearranged.
double scratch_bytes(const NodeWork& work) {
  switch (work.layer) {
    case LayerClass::convolution:
    case LayerClass::product:
    case LayerClass::pair_product:
    case LayerClass::recurrent:
      return work.activation_bytes;
    default:
      return 0;
  }
}

}  // namespace

std::string_view objective_name(Objective objective) {
  switch (objective) {
    case Objective::latency:
      return "latency";
    case Objective::throughput:
      return "throughput";
    case Objective::memory:
      return "memory";
  }
  return "latency";
}

Objective parse_objective(std::string_view word) {
  for (const Objective objective : {Objective::latency, Objective::throughput, Objective::memory}) {
    if (objective_name(objective) == word) return objective;
  }
  throw_error(ErrorKind::usage, "objective '{}': choose latency, throughput or memory", word);
}

double Schedule::cost(Objective objective) const {
  if (overcommitted > 0) return kDoesNotFit * (1 + overcommitted);
  switch (objective) {
    case Objective::latency:
      return latency_s + 1e-6 * bottleneck_s;
    case Objective::throughput:
      return bottleneck_s + 1e-6 * latency_s;
    case Objective::memory:
      return largest_share + 1e-6 * latency_s;
  }
  return latency_s;
}

Scheduler::Scheduler(const PlacementProblem& problem) : problem_(problem) {
  const std::size_t devices = problem.devices.size();
  level_.resize(index(problem.node_count()));
  parent_.resize(level_.size());
  group_of_.resize(level_.size());
  sent_.resize(problem.values.size() * devices);
  schedule_.busy_s.resize(devices);
  schedule_.weight_bytes.resize(devices);
  schedule_.activation_bytes.resize(devices);
}

void Scheduler::form_groups(std::span<const int> assignment) {
  const int nodes = problem_.node_count();
  std::iota(parent_.begin(), parent_.end(), 0);
  const auto root = [&](int node) {
    while (parent_[index(node)] != node) {
      parent_[index(node)] = parent_[index(parent_[index(node)])];
      node = parent_[index(node)];
    }
    return node;
  };
  int highest = 0;
  for (int node = 0; node < nodes; ++node) {
    int level = 0;
    const int device = assignment[index(node)];
    for (const int v : problem_.reads[index(node)]) {
      const FlowingValue& value = problem_.values[index(v)];
      if (value.producer < 0) continue;
      const int from = assignment[index(value.producer)];
      bool leaves = from != device;
      for (std::size_t r = 0; !leaves && r < value.readers.size(); ++r) {
        leaves = assignment[index(value.readers[r])] != from;
      }
      level = std::max(level, level_[index(value.producer)] + (leaves ? 1 : 0));
    }
    level_[index(node)] = level;
    highest = std::max(highest, level);
    for (const int v : problem_.reads[index(node)]) {
      const int producer = problem_.values[index(v)].producer;
      if (producer < 0 || assignment[index(producer)] != device || level_[index(producer)] != level) continue;
      const int a = root(producer);
      const int b = root(node);
      parent_[index(std::max(a, b))] = std::min(a, b);
    }
  }
  const bool one_device =
      nodes == 0 || std::all_of(assignment.begin(), assignment.end(), [&](int d) { return d == assignment[0]; });
  groups_.clear();
  if (one_device) {
    std::fill(group_of_.begin(), group_of_.end(), 0);
    if (nodes > 0) groups_.push_back({assignment[0], 0, 0, 0, 0});
    return;
  }
  // Groups in the order of levels, then of their first nodes: edges lead to higher levels only.
  std::vector<std::vector<int>> roots(index(highest + 1));
  for (int node = 0; node < nodes; ++node) {
    if (root(node) == node) roots[index(level_[index(node)])].push_back(node);
  }
  for (const auto& level : roots) {
    for (const int node : level) {
      group_of_[index(node)] = static_cast<int>(groups_.size());
      groups_.push_back({assignment[index(node)], node, 0, 0, 0});
    }
  }
  for (int node = 0; node < nodes; ++node) group_of_[index(node)] = group_of_[index(root(node))];
}

void Scheduler::add_memory(std::span<const int> assignment) {
  const std::size_t devices = problem_.devices.size();
  std::fill(schedule_.weight_bytes.begin(), schedule_.weight_bytes.end(), 0);
  for (int node = 0; node < problem_.node_count(); ++node) {
    const int device = assignment[index(node)];
    schedule_.weight_bytes[index(device)] += problem_.weight_bytes[problem_.at(node, device)];
  }
  // A value occupies its producer's device from there to its last reader, and each other device that reads it from the
  // first reader there to the last.
  const std::size_t nodes = index(problem_.node_count());
  std::vector<double> change((nodes + 2) * devices, 0);
  const auto occupy = [&](int device, int first, int last, double bytes) {
    change[index(first + 1) * devices + index(device)] += bytes;
    if (index(last + 2) < nodes + 2) change[index(last + 2) * devices + index(device)] -= bytes;
  };
  std::vector<int> first(devices);
  std::vector<int> last(devices);
  for (const FlowingValue& value : problem_.values) {
    const int home = value.producer < 0 ? 0 : assignment[index(value.producer)];
    std::fill(first.begin(), first.end(), std::numeric_limits<int>::max());
    std::fill(last.begin(), last.end(), -1);
    first[index(home)] = value.producer;
    last[index(home)] = std::max(value.producer, value.readers.empty() ? -1 : value.readers.back());
    if (value.is_output) last[index(home)] = static_cast<int>(nodes) - 1;
    for (const int reader : value.readers) {
      const std::size_t device = index(assignment[index(reader)]);
      first[device] = std::min(first[device], reader);
      last[device] = std::max(last[device], reader);
    }
    for (std::size_t d = 0; d < devices; ++d) {
      if (first[d] != std::numeric_limits<int>::max()) {
        occupy(static_cast<int>(d), first[d], last[d], static_cast<double>(value.bytes));
      }
    }
  }
  for (int node = 0; node < problem_.node_count(); ++node) {
    occupy(assignment[index(node)], node, node, scratch_bytes(problem_.works[index(node)]));
  }
  for (std::size_t d = 0; d < devices; ++d) {
    double now = 0;
    double peak = 0;
    for (std::size_t t = 0; t < nodes + 2; ++t) {
      now += change[t * devices + d];
      peak = std::max(peak, now);
    }
    schedule_.activation_bytes[d] = static_cast<std::size_t>(peak);
  }
  schedule_.overcommitted = 0;
  schedule_.largest_share = 0;
  for (std::size_t d = 0; d < devices; ++d) {
    const double used = static_cast<double>(schedule_.weight_bytes[d] + schedule_.activation_bytes[d]);
    const double share = used / std::max(1.0, static_cast<double>(problem_.devices[d].memory_limit));
    schedule_.largest_share = std::max(schedule_.largest_share, share);
    if (share > 1) schedule_.overcommitted = std::max(schedule_.overcommitted, share - 1);
  }
}

void Scheduler::run_groups(std::span<const int> assignment) {
  const std::size_t devices = problem_.devices.size();
  const int nodes = problem_.node_count();
  for (Group& group : groups_) {
    group.waiting = 0;
    group.ready = 0;
    group.seconds = 0;
  }
  group_sends_.resize(std::max(group_sends_.size(), groups_.size()));
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    group_sends_[g].clear();
  }
  for (int node = 0; node < nodes; ++node) {
    groups_[index(group_of_[index(node)])].seconds += problem_.time(node, assignment[index(node)]);
  }
  for (Group& group : groups_) group.seconds += problem_.overhead(group.device, group.seconds);
  // Each value that leaves its group is announced once per reading group.
  std::vector<int> seen;
  for (std::size_t v = 0; v < problem_.values.size(); ++v) {
    const FlowingValue& value = problem_.values[v];
    const int from = value.producer < 0 ? -1 : group_of_[index(value.producer)];
    seen.clear();
    for (const int reader : value.readers) {
      const int to = group_of_[index(reader)];
      if (to == from || std::find(seen.begin(), seen.end(), to) != seen.end()) continue;
      seen.push_back(to);
      ++groups_[index(to)].waiting;
    }
    if (from >= 0 && (!seen.empty() || value.is_output)) group_sends_[index(from)].push_back(static_cast<int>(v));
  }
  std::fill(sent_.begin(), sent_.end(), -1.0);
  std::fill(schedule_.busy_s.begin(), schedule_.busy_s.end(), 0.0);
  traffic_.assign(problem_.copy_contention.size(), {});
  std::vector<double> link_free(devices * devices, 0);
  std::vector<double> link_busy(devices * devices, 0);
  std::vector<double> free(devices, 0);

  using Ready = std::pair<double, int>;
  std::priority_queue<Ready, std::vector<Ready>, std::greater<>> queue;
  const auto arrive = [&](int v, int device, int home, double available) {
    double& there = sent_[index(v) * devices + index(device)];
    if (there >= 0) return there;
    if (device == home) return there = available;
    const std::size_t link = index(home) * devices + index(device);
    double seconds = problem_.copy_time(home, device, problem_.values[index(v)].bytes);
    const double begin = std::max(available, link_free[link]);
    // While bytes are on their way over one link, those on another link of the same memory are slower.
    const double moving = problem_.copy_s_per_byte[link] * static_cast<double>(problem_.values[index(v)].bytes);
    std::size_t counted = traffic_.size();
    for (const int end : {home, device}) {
      const std::size_t rank = index(problem_.devices[index(end)].rank);
      if (rank == std::exchange(counted, rank)) continue;
      Traffic& traffic = traffic_[rank];
      const double beside = traffic.link == link ? 0 : std::clamp(traffic.until - begin, 0.0, moving);
      seconds += beside * (problem_.copy_contention[rank] - 1);
      if (begin + moving > traffic.until) traffic = {link, begin, begin + moving};
    }
    link_free[link] = begin + seconds;
    link_busy[link] += seconds;
    return there = begin + seconds;
  };
  double finish = 0;
  const auto deliver = [&](int v, int home, double available, int own_group) {
    const FlowingValue& value = problem_.values[index(v)];
    seen.clear();
    for (const int reader : value.readers) {
      const int to = group_of_[index(reader)];
      if (to == own_group || std::find(seen.begin(), seen.end(), to) != seen.end()) continue;
      seen.push_back(to);
      Group& group = groups_[index(to)];
      group.ready = std::max(group.ready, arrive(v, group.device, home, available));
      if (--group.waiting == 0) queue.emplace(group.ready, to);
    }
    if (value.is_output) finish = std::max(finish, arrive(v, 0, home, available));
  };
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (groups_[g].waiting == 0) queue.emplace(0, static_cast<int>(g));
  }
  for (std::size_t v = 0; v < problem_.values.size(); ++v) {
    if (problem_.values[v].producer < 0) deliver(static_cast<int>(v), 0, 0, -1);
  }
  while (!queue.empty()) {
    const auto [ready, g] = queue.top();
    queue.pop();
    const Group& group = groups_[index(g)];
    const std::size_t device = index(group.device);
    const double begin = std::max(ready, free[device]);
    double seconds = group.seconds;
    if (!problem_.is_gpu(group.device)) {
      const std::size_t rank = index(problem_.devices[device].rank);
      const Traffic& traffic = traffic_[rank];
      const double beside = std::min(traffic.until, begin + seconds) - std::max(traffic.from, begin);
      if (beside > 0) seconds += beside * (problem_.compute_contention[rank] - 1);
    }
    const double end = begin + seconds;
    free[device] = end;
    schedule_.busy_s[device] += seconds;
    finish = std::max(finish, end);
    for (const int v : group_sends_[index(g)]) deliver(v, group.device, end, g);
  }
  schedule_.latency_s = finish;
  schedule_.bottleneck_s = 0;
  for (const double busy : schedule_.busy_s) schedule_.bottleneck_s = std::max(schedule_.bottleneck_s, busy);
  for (const double busy : link_busy) schedule_.bottleneck_s = std::max(schedule_.bottleneck_s, busy);
  schedule_.partitions = static_cast<int>(groups_.size());
}

const Schedule& Scheduler::evaluate(std::span<const int> assignment) {
  require(assignment.size() == level_.size(), "an assignment names a device for every node");
  form_groups(assignment);
  add_memory(assignment);
  run_groups(assignment);
  return schedule_;
}

std::vector<NodeGroup> Scheduler::partition(std::span<const int> assignment) {
  form_groups(assignment);
  std::vector<NodeGroup> result(groups_.size());
  for (std::size_t g = 0; g < groups_.size(); ++g) result[g].device = groups_[g].device;
  for (int node = 0; node < problem_.node_count(); ++node) {
    result[index(group_of_[index(node)])].nodes.push_back(node);
  }
  return result;
}

double latency_lower_bound(const PlacementProblem& problem) {
  std::vector<double> done(index(problem.node_count()), 0);
  double path = 0;
  double total = 0;
  for (int node = 0; node < problem.node_count(); ++node) {
    double start = 0;
    for (const int v : problem.reads[index(node)]) {
      const int producer = problem.values[index(v)].producer;
      if (producer >= 0) start = std::max(start, done[index(producer)]);
    }
    double fastest = std::numeric_limits<double>::infinity();
    for (int device = 0; device < problem.device_count(); ++device) {
      if (problem.may(node, device)) fastest = std::min(fastest, problem.time(node, device));
    }
    if (fastest == std::numeric_limits<double>::infinity()) fastest = 0;
    done[index(node)] = start + fastest;
    total += fastest;
    path = std::max(path, done[index(node)]);
  }
  return std::max(path, total / static_cast<double>(std::max(1, problem.device_count())));
}

}  // namespace sparse_run
