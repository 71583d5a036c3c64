// Balanced cuts of a chain.
#include "partitioner/rank_stages.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "graph/passes/sparsity.hpp"

namespace sparse_run {

namespace {

constexpr double kDenseRate = 6e10;   // operations per second of one core
constexpr double kSparseRate = 2e10;  // on non-zeros
constexpr double kBytesPerSecond = 5e9;
constexpr double kSparseFrom = 0.7;  // share of zeros
constexpr double kStepSeconds = 2e-6;

double bytes_of(const Type& type) {
  if (!type.is_concrete()) return 0;
  return static_cast<double>(element_count(*type.shape)) * static_cast<double>(element_size(type.dtype));
}

template <class Visit>
void for_each_read(const Node& node, const Visit& visit) {
  for (const ValueId id : node.inputs) {
    if (id != kNoValue) visit(id);
  }
  for (const ValueId id : node.captures) visit(id);
}

/// Bytes that cross before each node (index = number of nodes before the cut); negative where no cut may be.
std::vector<double> crossing_bytes(const Graph& graph) {
  const std::size_t count = graph.nodes().size();
  std::vector<double> change(count + 2, 0);
  std::vector<int> forbidden(count + 2, 0);
  for (ValueId id = 0; id < graph.values().size(); ++id) {
    const auto producer = graph.producer(id);
    if (!producer) continue;  // inputs come from rank 0, constants are everywhere
    const auto readers = graph.consumers(id);
    if (readers.empty()) continue;
    const std::size_t first = *producer + 1, last = readers.back() + 1;  // crosses cuts [first, last)
    change[first] += bytes_of(graph.value(id).type);
    change[last] -= bytes_of(graph.value(id).type);
    if (can_cross_ranks(graph.value(id).type)) continue;
    ++forbidden[first];
    --forbidden[last];
  }
  std::vector<double> bytes(count + 1, -1);
  double sum = 0;
  int blocked = 0;
  for (std::size_t cut = 0; cut <= count; ++cut) {
    sum += change[cut];
    blocked += forbidden[cut];
    if (blocked == 0) bytes[cut] = std::max(sum, 0.0);
  }
  return bytes;
}

/// Ends of stages when none may take longer than `limit`; empty when that needs more than `stages`.
std::vector<std::size_t> cut_greedily(const std::vector<double>& before, const std::vector<double>& cut_s,
                                      std::size_t stages, double limit) {
  std::vector<std::size_t> ends;
  const std::size_t count = before.size() - 1;
  std::size_t begin = 0;
  while (begin < count) {
    if (ends.size() == stages) return {};
    std::size_t best = begin;
    for (std::size_t end = begin + 1; end <= count && before[end] - before[begin] <= limit; ++end) {
      if (end == count || (cut_s[end] >= 0 && cut_s[end] <= limit)) best = end;
    }
    if (best == begin) return {};
    ends.push_back(best);
    begin = best;
  }
  return ends;
}

}  // namespace

bool can_cross_ranks(const Type& type) {
  return type.is_concrete() && type.dtype != DType::string && element_size(type.dtype) != 0;
}

Plan plan_stages(const Graph& graph, int stages, const StageCosts& costs, const std::string& device,
                 const std::string& model_hash) {
  require(costs.node_s.size() == graph.nodes().size(), "plan_stages: costs are not parallel to the nodes");
  const std::size_t count = graph.nodes().size();
  std::vector<double> before(count + 1, 0);
  for (std::size_t i = 0; i < count; ++i) before[i + 1] = before[i] + costs.node_s[i];
  std::vector<double> cut_s = crossing_bytes(graph);
  for (double& seconds : cut_s) {
    if (seconds >= 0) seconds = costs.link_latency_s + seconds / costs.link_bytes_per_s;
  }
  std::vector<std::size_t> ends{count};
  if (count > 0) {
    double low = before[count] / std::max(stages, 1), high = before[count];
    for (int round = 0; round < 40 && high - low > 1e-6 * high; ++round) {
      const double middle = 0.5 * (low + high);
      auto tried = cut_greedily(before, cut_s, static_cast<std::size_t>(std::max(stages, 1)), middle);
      if (tried.empty()) {
        low = middle;
      } else {
        high = middle;
        ends = std::move(tried);
      }
    }
  }
  Plan plan;
  plan.policy = "stages";
  plan.model_hash = model_hash;
  plan.objective = "throughput";
  std::size_t begin = 0;
  for (std::size_t stage = 0; stage < ends.size() && count > 0; ++stage) {
    PlannedPartition partition;
    partition.device = device;
    partition.rank = static_cast<int>(stage);
    partition.stage = static_cast<int>(stage);
    partition.predicted_s = before[ends[stage]] - before[begin];
    partition.reason = fmt::format("stage {} of {}, {:.0f}% of the work", stage, ends.size(),
                                   100 * partition.predicted_s / std::max(before[count], 1e-30));
    for (; begin < ends[stage]; ++begin) partition.nodes.push_back(static_cast<NodeId>(begin));
    plan.bottleneck_s = std::max(plan.bottleneck_s, partition.predicted_s);
    plan.predicted_s += partition.predicted_s;
    plan.partitions.push_back(std::move(partition));
  }
  connect_partitions(plan, graph);
  return plan;
}

std::vector<double> estimate_node_seconds(const Graph& graph) {
  std::vector<double> operations(graph.nodes().size(), 0);  // in seconds
  for (const WeightSparsity& weight : weight_sparsity(graph)) {
    const Node& node = graph.node(weight.node);
    const Type& result = graph.value(node.outputs.front()).type;
    if (!result.is_concrete() || weight.shape.empty() || element_count(weight.shape) == 0) continue;
    const double outputs = static_cast<double>(element_count(*result.shape));
    // Every output reads all weights of its channel: the axis of channels is the first of a convolution's weight, the
    // last of a product's.
    const bool convolution = node.op.find("Conv") != std::string::npos;
    const bool transposed = node.int_or("transB", 0) != 0;
    const auto channels = static_cast<double>(convolution || transposed ? weight.shape.front() : weight.shape.back());
    const double all = 2 * outputs * static_cast<double>(element_count(weight.shape)) / std::max(channels, 1.0);
    const double zeros = weight.sparsity.share();
    operations[weight.node] +=
        zeros >= kSparseFrom ? std::min(all * (1 - zeros) / kSparseRate, all / kDenseRate) : all / kDenseRate;
  }
  for (NodeId id = 0; id < graph.nodes().size(); ++id) {
    double bytes = 0;
    for_each_read(graph.node(id), [&](ValueId value) {
      if (!graph.value(value).constant) bytes += bytes_of(graph.value(value).type);
    });
    for (const ValueId value : graph.node(id).outputs) {
      if (value != kNoValue) bytes += bytes_of(graph.value(value).type);
    }
    operations[id] += bytes / kBytesPerSecond + kStepSeconds;
  }
  return operations;
}

}  // namespace sparse_run
