// Classifies values by what they are computed from, then collects what sums over edges and results ask for.
#include "runtime/distributed/graph_split.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "graph/ops/aggregate.hpp"
#include "partitioner/rank_stages.hpp"
#include "runtime/distributed/row_wise.hpp"

namespace sparse_run {

namespace {

constexpr double kAggregateBytesPerSecond = 5e9;  // of one core, gathering rows

bool is_aggregate(const Node& node) { return node.is("SparseAggregate", kInternalDomain); }

double row_work(const Graph& graph, const Node& node, const Aggregate& aggregate) {
  const Type& targets = graph.value(node.inputs[0]).type;
  const double edges = targets.is_concrete() ? static_cast<double>(element_count(*targets.shape)) : 0;
  return (edges + static_cast<double>(aggregate.nodes())) * static_cast<double>(aggregate.row_elements());
}

/// What a value comes from.
enum class Origin {
  given,  ///< from inputs and constants, without a shared sum
  nodes,  ///< shared: one row per node
  edges,  ///< shared: one row per edge
  mixed,  ///< from shared values, but not row by row
};

class Splitter {
 public:
  explicit Splitter(std::shared_ptr<const Graph> graph) : graph_(*graph) {
    split_.graph = std::move(graph);
    origin_.assign(graph_.values().size(), Origin::given);
    culprit_.assign(graph_.values().size(), kNone);
  }

  GraphSplit run() {
    choose_nodes();
    for (NodeId id = 0; id < graph_.nodes().size(); ++id) classify(id);
    std::set<NodeId> tail;
    for (const ValueId id : graph_.outputs()) collect_tail(id, tail);
    for (const ValueId id : results_) {
      if (graph_.producer(id)) demand(id, kNodeRows);
    }
    split_.results = results_;
    split_.tail.assign(tail.begin(), tail.end());
    std::set<NodeId> head;
    for (const SharedLeaf& leaf : split_.leaves) collect_head(leaf.value, head);
    for (const EdgeSet& set : split_.sets) collect_head(set.targets, head);
    for (const GatheredBy& gather : split_.gathers) collect_head(gather.numbers, head);
    split_.head.assign(head.begin(), head.end());
    lay_out_halos();
    return std::move(split_);
  }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  const Shape* shape_of(ValueId id) const {
    const Type& type = graph_.value(id).type;
    return type.is_concrete() ? &*type.shape : nullptr;
  }
  bool has_rows(ValueId id, std::int64_t rows) const {
    const Shape* shape = shape_of(id);
    return shape != nullptr && !shape->empty() && (*shape)[0] == rows;
  }

  void choose_nodes() {
    double most = -1;
    for (const Node& node : graph_.nodes()) {
      if (!is_aggregate(node)) continue;
      const Aggregate aggregate = Aggregate::of(node);
      const double work = row_work(graph_, node, aggregate);
      if (work <= most) continue;
      most = work;
      split_.nodes = aggregate.nodes();
    }
    if (most < 0)
      throw_error(ErrorKind::unsupported, "--parallel graph: the model has no sums over the edges of a graph");
  }

  bool is_shared(const Node& node) const { return is_aggregate(node) && Aggregate::of(node).nodes() == split_.nodes; }

  [[noreturn]] void refuse(const Node& node, std::string_view why) const {
    throw_error(ErrorKind::unsupported,
                "--parallel graph: {} of opset {} {}: ranks that share the nodes of a graph cannot compute it",
                node.describe(), node.opset, why);
  }

  void classify(NodeId id) {
    const Node& node = graph_.node(id);
    Origin origin = Origin::given;
    std::size_t culprit = kNone;
    if (is_shared(node)) {
      check_aggregate(node);
      origin = Origin::nodes;
    } else {
      std::set<Origin> from;
      const auto read = [&](ValueId operand) {
        if (operand == kNoValue) return;
        from.insert(origin_[operand]);
        if (culprit == kNone) culprit = culprit_[operand];
      };
      for (const ValueId operand : node.inputs) read(operand);
      for (const ValueId operand : node.captures) read(operand);
      from.erase(Origin::given);
      if (!from.empty()) origin = from.contains(Origin::mixed) ? Origin::mixed : shared_origin(node, from);
      if (origin == Origin::mixed && culprit == kNone) culprit = id;
    }
    for (const ValueId result : node.outputs) {
      if (result == kNoValue) continue;
      origin_[result] = origin;
      culprit_[result] = origin == Origin::mixed ? culprit : kNone;
    }
  }

  /// Of a node that reads shared values.
  Origin shared_origin(const Node& node, const std::set<Origin>& from) const {
    if (node.outputs.empty() || node.outputs[0] == kNoValue || from.size() > 1) return Origin::mixed;
    if (from.contains(Origin::nodes) && is_edge_gather(node)) return Origin::edges;
    const Origin origin = *from.begin();
    std::int64_t rows = split_.nodes;
    if (origin == Origin::edges) {
      const Shape* shape = shape_of(node.outputs[0]);
      if (shape == nullptr || shape->empty()) return Origin::mixed;
      rows = shape->front();
    }
    const RowReads reads = reads_by_row(graph_, node, rows);
    if (!reads.possible) return Origin::mixed;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != kNoValue && !reads.by_row[i] && origin_[node.inputs[i]] != Origin::given)
        return Origin::mixed;
    }
    return origin;
  }

  /// Rows of nodes taken by numbers that do not depend on shared values.
  bool is_edge_gather(const Node& node) const {
    if (!node.is("Gather") || node.inputs.size() != 2) return false;
    const Shape* numbers = shape_of(node.inputs[1]);
    const Shape* data = shape_of(node.inputs[0]);
    if (numbers == nullptr || data == nullptr || data->empty() || numbers->size() != 1) return false;
    const std::int64_t axis = node.int_or("axis", 0);
    return (axis == 0 || axis == -static_cast<std::int64_t>(data->size())) && (*data)[0] == split_.nodes &&
           origin_[node.inputs[1]] == Origin::given;
  }

  void check_aggregate(const Node& node) const {
    const Aggregate aggregate = Aggregate::of(node);
    for (std::size_t i = 0; i < aggregate.roles.size(); ++i) {
      const ValueId operand = node.inputs[i];
      const Origin origin = origin_[operand];
      const std::int64_t role = aggregate.roles[i];
      if (origin == Origin::mixed) {
        const Node& culprit = graph_.node(static_cast<NodeId>(culprit_[operand]));
        refuse(culprit, fmt::format("{} before {} adds up rows of nodes", obstacle(culprit), node.describe()));
      }
      const bool by_node = role >= 0 || role == Aggregate::per_node;
      const bool fits = by_node                       ? origin != Origin::edges && has_rows(operand, split_.nodes)
                        : role == Aggregate::per_edge ? origin != Origin::nodes
                                                      : origin == Origin::given;
      if (!fits)
        refuse(node,
               fmt::format("reads '{}' in a way that is not one row per node or edge", graph_.value(operand).name));
    }
  }

  std::string obstacle(const Node& node) const {
    const Shape* shape = node.outputs.empty() ? nullptr : shape_of(node.outputs[0]);
    const RowReads reads = reads_by_row(graph_, node, shape == nullptr || shape->empty() ? -1 : shape->front());
    return reads.possible || reads.obstacle.empty() ? "reads rows of many nodes at once" : reads.obstacle;
  }

  // From outputs backward: what rank 0 computes from results.
  void collect_tail(ValueId id, std::set<NodeId>& tail) {
    const auto producer = graph_.producer(id);
    if (!producer) return;
    if (origin_[id] == Origin::nodes) {
      if (std::find(results_.begin(), results_.end(), id) == results_.end()) results_.push_back(id);
      return;
    }
    if (!tail.insert(*producer).second) return;
    for (const ValueId operand : graph_.node(*producer).inputs) {
      if (operand != kNoValue) collect_tail(operand, tail);
    }
    for (const ValueId operand : graph_.node(*producer).captures) collect_tail(operand, tail);
  }

  void collect_head(ValueId id, std::set<NodeId>& head) const {
    const auto producer = graph_.producer(id);
    if (!producer || !head.insert(*producer).second) return;
    for (const ValueId operand : graph_.node(*producer).inputs) {
      if (operand != kNoValue) collect_head(operand, head);
    }
    for (const ValueId operand : graph_.node(*producer).captures) collect_head(operand, head);
  }

  std::int64_t rows_of(RowSpace space) const {
    return space == kNodeRows ? split_.nodes : split_.sets[static_cast<std::size_t>(space)].edges;
  }

  void leaf(ValueId id, RowSpace space) {
    if (space == kWhole && graph_.value(id).constant) return;
    if (!can_cross_ranks(graph_.value(id).type)) {
      throw_error(ErrorKind::unsupported, "--parallel graph: value '{}' is {}, which cannot be sent to other ranks",
                  graph_.value(id).name, to_string(graph_.value(id).type));
    }
    const SharedLeaf made{id, space};
    if (std::find(split_.leaves.begin(), split_.leaves.end(), made) == split_.leaves.end())
      split_.leaves.push_back(made);
  }

  /// A value is needed by row in a space: by the nodes that compute it row by row, or from rank 0.
  void demand(ValueId id, RowSpace space) {
    const auto producer = graph_.producer(id);
    if (!producer) return leaf(id, space);
    if (!made_.insert({*producer, space}).second) return;
    const Node& node = graph_.node(*producer);
    SharedNode shared{*producer, space, SharedNode::Kind::by_row, 0, {}};
    if (space == kNodeRows && is_shared(node)) {
      shared.kind = SharedNode::Kind::aggregate;
      shared.set = set_of(node.inputs[0]);
      demand_operands(node, shared.set);
    } else if (space >= 0 && is_edge_gather(node)) {
      shared.kind = SharedNode::Kind::gather;
      shared.set = static_cast<std::size_t>(space);
      demand(node.inputs[0], kNodeRows);
      gather(node.inputs[0], {node.inputs[1], shared.set});
    } else {
      RowReads reads = reads_by_row(graph_, node, rows_of(space));
      if (!reads.possible || !given_where_whole(node, reads)) {
        if (origin_[id] != Origin::given) refuse(node, reads.obstacle);
        return leaf(id, space);
      }
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (node.inputs[i] == kNoValue) continue;
        if (reads.by_row[i]) {
          demand(node.inputs[i], space);
        } else {
          leaf(node.inputs[i], kWhole);
        }
      }
      shared.rows = std::move(reads.by_row);
    }
    split_.body.push_back(std::move(shared));
  }

  bool given_where_whole(const Node& node, const RowReads& reads) const {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != kNoValue && !reads.by_row[i] && origin_[node.inputs[i]] != Origin::given) return false;
    }
    return true;
  }

  std::size_t set_of(ValueId targets) {
    for (std::size_t i = 0; i < split_.sets.size(); ++i) {
      if (split_.sets[i].targets == targets) return i;
    }
    split_.sets.push_back({targets, element_count(*graph_.value(targets).type.shape)});
    return split_.sets.size() - 1;
  }

  void demand_operands(const Node& node, std::size_t set) {
    const Aggregate aggregate = Aggregate::of(node);
    for (std::size_t i = 1; i < aggregate.roles.size(); ++i) {
      const std::int64_t role = aggregate.roles[i];
      const ValueId operand = node.inputs[i];
      if (role == Aggregate::index) continue;
      if (role == Aggregate::fixed) {
        leaf(operand, kWhole);
      } else if (role == Aggregate::per_edge) {
        if (!has_rows(operand, split_.sets[set].edges))
          refuse(node, fmt::format("reads '{}', which has not one row per edge", graph_.value(operand).name));
        demand(operand, static_cast<RowSpace>(set));
      } else {
        demand(operand, kNodeRows);
        if (role > 0) gather(operand, {node.inputs[static_cast<std::size_t>(role)], set});
      }
    }
  }

  void gather(ValueId value, const GatheredBy& by) {
    const auto known = std::find(split_.gathers.begin(), split_.gathers.end(), by);
    const auto index = static_cast<std::size_t>(known - split_.gathers.begin());
    if (known == split_.gathers.end()) split_.gathers.push_back(by);
    if (!gathered_.contains(value)) order_.push_back(value);
    gathered_[value].insert(index);
  }

  void lay_out_halos() {
    for (const ValueId value : order_) {
      std::vector<std::size_t> rows(gathered_[value].begin(), gathered_[value].end());
      auto known = std::find(split_.halos.begin(), split_.halos.end(), rows);
      if (known == split_.halos.end()) known = split_.halos.insert(known, std::move(rows));
      split_.exchanges.push_back({value, static_cast<std::size_t>(known - split_.halos.begin())});
    }
  }

  const Graph& graph_;
  GraphSplit split_;
  std::vector<Origin> origin_;
  std::vector<std::size_t> culprit_;  // by value: the node by which it came to be mixed
  std::vector<ValueId> results_;
  std::set<std::pair<NodeId, RowSpace>> made_;
  std::map<ValueId, std::set<std::size_t>> gathered_;  // indices of gathers, by value
  std::vector<ValueId> order_;                         // of gathered values
};

}  // namespace

std::size_t GraphSplit::exchange_of(ValueId value) const {
  const auto found = std::find_if(exchanges.begin(), exchanges.end(), [&](const auto& e) { return e.value == value; });
  require(found != exchanges.end(), "rows are gathered of a value that is not exchanged");
  return static_cast<std::size_t>(found - exchanges.begin());
}

GraphSplit split_graph(std::shared_ptr<const Graph> graph) { return Splitter(std::move(graph)).run(); }

double aggregate_share(const Graph& graph) {
  const auto seconds = estimate_node_seconds(graph);
  double sums = 0, others = 0;
  for (NodeId id = 0; id < graph.nodes().size(); ++id) {
    const Node& node = graph.node(id);
    if (is_aggregate(node)) {
      sums += sizeof(float) * row_work(graph, node, Aggregate::of(node)) / kAggregateBytesPerSecond;
    } else {
      others += seconds[id];
    }
  }
  return sums > 0 ? sums / (sums + others) : 0;
}

}  // namespace sparse_run
