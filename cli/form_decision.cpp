// Deciding on a form by the plan file, by sizes, by estimates and by simulation.
#include "cli/form_decision.hpp"

#include <algorithm>
#include <cstdint>

#include "graph/passes/pipeline.hpp"
#include "partitioner/rank_stages.hpp"
#include "runtime/distributed/graph_split.hpp"
#include "runtime/distributed/row_split.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run::cli {

namespace {

constexpr double kDominant = 0.5;  // share of the time

std::size_t weight_bytes(const RankedWork& work) {
  std::size_t bytes = 0;
  for (const ValueDef& value : work.context.session.graph()->values()) {
    if (value.tensor() != nullptr && value.tensor()->dtype() != DType::string) bytes += value.tensor()->bytes();
  }
  return bytes;
}

int ranks_of_plan(const RankedWork& work) {
  int highest = 0;
  for (const PlannedPartition& partition : work.plan_file(work.resolved()).partitions)
    highest = std::max(highest, partition.rank);
  return highest + 1;
}

/// Whether exchanging activations costs less than half of what splitting the layers saves.
bool pays_to_split(const RankedWork& work) {
  try {
    const Graph graph = work.resolved();
    const RowSplitOptions link;
    const RowProgram rows = split_rows(graph, 0, work.context.ranks.size(), link);
    double all_s = 0;
    for (const double seconds : estimate_node_seconds(graph)) all_s += seconds;
    double own_s = 0;
    for (const double seconds : estimate_node_seconds(*rows.graph)) own_s += seconds;
    double exchange_s = 0;
    for (const RowExchange& exchange : rows.exchanges) {
      exchange_s +=
          link.link_latency_s + 4 * static_cast<double>(element_count(exchange.shape)) / link.link_bytes_per_s;
    }
    return exchange_s < 0.5 * (all_s - own_s);
  } catch (const Error&) {
    return false;  // what is wrong with the model shows when it is compiled
  }
}

/// Whether sums along the edges of one graph take most of the time and ranks can share its nodes.
bool pays_to_share_nodes(const RankedWork& work) {
  if (work.job.is_job || !adds_along_edges(*work.context.session.graph())) return false;
  try {
    auto graph = std::make_shared<const Graph>(specialize(*work.context.session.graph(), work.job.request_types,
                                                          *work.context.evaluator, work.passes_for_graphs()));
    if (aggregate_share(*graph) < kDominant) return false;
    split_graph(std::move(graph));
    return true;
  } catch (const Error&) {
    return false;  // what is wrong with the model shows when it is compiled
  }
}

}  // namespace

bool adds_along_edges(const Graph& model) {
  const auto nodes = model.nodes();
  return std::any_of(nodes.begin(), nodes.end(), [](const Node& node) {
    return (node.is("ScatterElements") || node.is("ScatterND")) && node.string_or("reduction", "none") != "none";
  });
}

FormChoice best_form(RankedWork& work) {
  const bool one_request = !work.job.is_job && !work.options().benchmark;
  const bool simulates = !one_request && work.options().plan.empty();
  if (simulates) work.link = probe_link(work.ranks().cluster());
  WireWriter message;
  FormChoice best;
  work.phase("plan", [&] {
    if (!work.leads()) return;
    if (!work.options().plan.empty()) {
      if (ranks_of_plan(work) > 1) best.form = Parallel::pipeline;
    } else if (weight_bytes(work) > work.context.memory_limit) {
      best.form = Parallel::pipeline;
    } else if (pays_to_share_nodes(work)) {
      best.form = Parallel::graph;
    } else if (one_request) {
      if (ranks_on_this_host() == work.ranks().size() && pays_to_split(work)) best.form = Parallel::rows;
    } else {
      const std::int64_t requests =
          work.job.is_job ? (work.job.rows + work.job.micro_batch - 1) / work.job.micro_batch : INT64_MAX;
      best = choose_form(*work.context.placement, work.resolved(), work.ranks().size(), *work.link, requests,
                         work.options().verbosity > 0 ? work.context.notice : nullptr);
    }
    message.put(best.form);
    message.put(best.stages);
    message.put(best.groups);
  });
  WireReader reader(work.ranks().cluster().broadcast(message.take()));
  best.form = reader.get<Parallel>();
  best.stages = reader.get<int>();
  best.groups = reader.get<int>();
  return best;
}

}  // namespace sparse_run::cli
