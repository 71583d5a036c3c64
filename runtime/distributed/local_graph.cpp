// Copies what ranks share with the numbers of rows that this rank has, sums and gathers once per block.
#include "runtime/distributed/local_graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "graph/ops/aggregate.hpp"
#include "runtime/distributed/row_wise.hpp"

namespace sparse_run {

namespace {

constexpr int kOpset = 18;

class LocalBuilder {
 public:
  LocalBuilder(const GraphSplit& split, const RankLayout& layout)
      : split_(split), graph_(*split.graph), layout_(layout), builder_("nodes of one rank") {}

  LocalGraph build() {
    for (const SharedLeaf& leaf : split_.leaves) {
      const ValueDef& value = graph_.value(leaf.value);
      const ValueId id = builder_.add_input(value.name, type_in(value.type, leaf.space));
      ids_[{leaf.value, leaf.space}] = id;
      leaves_.push_back(id);
    }
    halos_.assign(split_.exchanges.size(), kNoValue);
    for (std::size_t i = 0; i < split_.exchanges.size(); ++i) {
      const std::int64_t rows = halo_of(i).received_rows();
      if (rows == 0) continue;
      const ValueDef& value = graph_.value(split_.exchanges[i].value);
      halos_[i] = builder_.add_input(value.name + " of others", with_rows(value.type, rows));
    }
    for (const SharedNode& shared : split_.body) {
      switch (shared.kind) {
        case SharedNode::Kind::by_row:
          add_by_row(shared);
          break;
        case SharedNode::Kind::gather:
          add_gather(shared);
          break;
        case SharedNode::Kind::aggregate:
          add_aggregate(shared);
          break;
      }
    }
    return finish();
  }

 private:
  std::int64_t rows_in(RowSpace space) const {
    return space == kNodeRows ? layout_.own() : layout_.edges(static_cast<std::size_t>(space));
  }
  static Type with_rows(Type type, std::int64_t rows) {
    type.shape->front() = rows;
    return type;
  }
  Type type_in(const Type& type, RowSpace space) const {
    return space == kWhole ? type : with_rows(type, rows_in(space));
  }

  const RankLayout::Halo& halo_of(std::size_t exchange) const { return layout_.halos[split_.exchanges[exchange].halo]; }

  ValueId id_of(ValueId value, RowSpace space) {
    const auto known = ids_.find({value, space});
    if (known != ids_.end()) return known->second;
    const ValueDef& def = graph_.value(value);
    require(space == kWhole && def.constant.has_value(), "a shared value is read before it is made");
    return ids_[{value, space}] = builder_.add_constant(def.name, *def.constant);
  }

  ValueId integers(std::vector<std::int64_t> numbers) {
    const auto known = integers_.find(numbers);
    if (known != integers_.end()) return known->second;
    const auto size = static_cast<std::int64_t>(numbers.size());
    const ValueId id =
        builder_.add_constant("", Tensor::of<std::int64_t>({size}, std::span<const std::int64_t>(numbers)));
    return integers_[std::move(numbers)] = id;
  }

  /// A constant for an index tensor of the layout, each once.
  ValueId index(const Tensor& numbers) {
    const auto known = indices_.find(&numbers);
    if (known != indices_.end()) return known->second;
    return indices_[&numbers] = builder_.add_constant("", numbers);
  }

  ValueId add(std::string op, std::vector<ValueId> inputs, std::map<std::string, Attribute, std::less<>> attributes,
              Type type) {
    Node node;
    node.op = std::move(op);
    node.name = fmt::format("{} {}", node.op, builder_.node_count());
    node.opset = kOpset;
    node.inputs = std::move(inputs);
    node.attributes = std::move(attributes);
    const ValueId result = builder_.add_value("", std::move(type));
    node.outputs = {result};
    builder_.add_node(std::move(node));
    return result;
  }

  const Type& type_of(ValueId local) const { return std::as_const(builder_).value(local).type; }
  std::int64_t rows_of(ValueId local) const { return type_of(local).shape->front(); }

  /// The rows of a block, of values that have rows of nodes or of the edges of a set.
  ValueId block_of(ValueId local, std::int64_t begin, std::int64_t end) {
    if (begin == 0 && end == rows_of(local)) return local;
    const auto key = std::tuple(local, begin, end);
    const auto known = blocks_.find(key);
    if (known != blocks_.end()) return known->second;
    return blocks_[key] = add("Slice", {local, integers({begin}), integers({end}), integers({0})}, {},
                              with_rows(type_of(local), end - begin));
  }
  ValueId node_block(ValueId local, std::size_t block) {
    const std::int64_t inner = layout_.nodes[kInner];
    return block == kInner ? block_of(local, 0, inner) : block_of(local, inner, layout_.own());
  }
  ValueId edge_block(ValueId local, std::size_t set, std::size_t block) {
    const std::int64_t inner = layout_.sets[set].targets[kInner].size();
    return block == kInner ? block_of(local, 0, inner) : block_of(local, inner, layout_.edges(set));
  }

  ValueId joined(const std::vector<ValueId>& parts) {
    if (parts.size() == 1) return parts[0];
    std::int64_t rows = 0;
    for (const ValueId part : parts) rows += rows_of(part);
    return add("Concat", parts, {{"axis", std::int64_t{0}}}, with_rows(type_of(parts[0]), rows));
  }

  /// The rows that border edges gather from a value: own ones, then those of others.
  ValueId border_rows(ValueId value) {
    const auto known = border_rows_.find(value);
    if (known != border_rows_.end()) return known->second;
    const std::size_t exchange = split_.exchange_of(value);
    const RankLayout::Halo& halo = halo_of(exchange);
    const ValueId own = id_of(value, kNodeRows);
    std::vector<ValueId> parts;
    if (halo.own.size() > 0 || halos_[exchange] == kNoValue) {
      parts.push_back(
          add("Gather", {own, index(halo.own)}, {{"axis", std::int64_t{0}}}, with_rows(type_of(own), halo.own.size())));
    }
    if (halos_[exchange] != kNoValue) parts.push_back(halos_[exchange]);
    return border_rows_[value] = joined(parts);
  }

  /// Value and numbers by which the edges of a block gather rows.
  std::pair<ValueId, ValueId> gathered(ValueId value, ValueId numbers, std::size_t set, std::size_t block) {
    const auto by = std::find(split_.gathers.begin(), split_.gathers.end(), GatheredBy{numbers, set});
    require(by != split_.gathers.end(), "a gather that the split does not know");
    const auto gather = static_cast<std::size_t>(by - split_.gathers.begin());
    if (block == kInner) return {id_of(value, kNodeRows), index(layout_.gathers[gather].inner)};
    const std::size_t exchange = split_.exchange_of(value);
    const auto& gathers = split_.halos[split_.exchanges[exchange].halo];
    const auto place = std::lower_bound(gathers.begin(), gathers.end(), gather) - gathers.begin();
    return {border_rows(value), index(halo_of(exchange).border[static_cast<std::size_t>(place)])};
  }

  /// Blocks that have anything in them; the inner one when neither has.
  static std::vector<std::size_t> blocks(std::int64_t inner, std::int64_t border) {
    if (border == 0) return {kInner};
    if (inner == 0) return {kBorder};
    return {kInner, kBorder};
  }

  void add_by_row(const SharedNode& shared) {
    Node copy = graph_.node(shared.node);
    const auto shape_at = shape_operand(copy);
    for (std::size_t i = 0; i < copy.inputs.size(); ++i) {
      if (copy.inputs[i] == kNoValue) continue;
      if (shape_at == i) {
        Shape shape = *graph_.value(copy.outputs[0]).type.shape;
        shape.front() = rows_in(shared.space);
        copy.inputs[i] = integers(std::move(shape));
      } else {
        copy.inputs[i] = id_of(copy.inputs[i], shared.rows[i] ? shared.space : kWhole);
      }
    }
    for (ValueId& id : copy.outputs) {
      if (id == kNoValue) continue;
      const ValueDef& def = graph_.value(id);
      const ValueId local = builder_.add_value(def.name, type_in(def.type, shared.space));
      ids_[{id, shared.space}] = local;
      id = local;
    }
    if (copy.is("Reshape")) copy.attributes.erase("allowzero");
    builder_.add_node(std::move(copy));
  }

  void add_gather(const SharedNode& shared) {
    const Node& node = graph_.node(shared.node);
    const auto& targets = layout_.sets[shared.set].targets;
    const Type& type = graph_.value(node.outputs[0]).type;
    std::vector<ValueId> parts;
    for (const std::size_t block : blocks(targets[kInner].size(), targets[kBorder].size())) {
      const auto [rows, numbers] = gathered(node.inputs[0], node.inputs[1], shared.set, block);
      parts.push_back(
          add("Gather", {rows, numbers}, {{"axis", std::int64_t{0}}}, with_rows(type, targets[block].size())));
    }
    ids_[{node.outputs[0], shared.space}] = joined(parts);
  }

  void add_aggregate(const SharedNode& shared) {
    const Node& node = graph_.node(shared.node);
    std::vector<ValueId> parts;
    for (const std::size_t block : blocks(layout_.nodes[kInner], layout_.nodes[kBorder]))
      parts.push_back(add_block(node, shared.set, block));
    ids_[{node.outputs[0], kNodeRows}] = joined(parts);
  }

  /// The sums of one block of nodes: the same operator over its edges, operands in another order.
  ValueId add_block(const Node& node, std::size_t set, std::size_t block) {
    const Aggregate given = Aggregate::of(node);
    Aggregate aggregate = given;
    aggregate.shape.front() = layout_.nodes[block];
    aggregate.roles = {Aggregate::index};
    aggregate.spans = {0};
    std::vector<ValueId> operands = {index(layout_.sets[set].targets[block])};
    std::vector<std::int64_t> place(given.roles.size(), 0);
    const auto put = [&](ValueId local, std::int64_t role, RowSpan span) {
      operands.push_back(local);
      aggregate.roles.push_back(role);
      aggregate.spans.push_back(span);
      return static_cast<std::int64_t>(operands.size()) - 1;
    };
    for (std::size_t i = 1; i < given.roles.size(); ++i) {
      const std::int64_t role = given.roles[i];
      const ValueId value = node.inputs[i];
      if (role == Aggregate::index) continue;
      if (role > 0) {
        const auto [rows, numbers] = gathered(value, node.inputs[static_cast<std::size_t>(role)], set, block);
        const auto known = std::find(operands.begin(), operands.end(), numbers);
        const std::int64_t by = known != operands.end() ? known - operands.begin() : put(numbers, Aggregate::index, 0);
        place[i] = put(rows, by, given.spans[i]);
      } else {
        const ValueId local = role == Aggregate::fixed ? id_of(value, kWhole)
                              : role == Aggregate::per_edge
                                  ? edge_block(id_of(value, static_cast<RowSpace>(set)), set, block)
                                  : node_block(id_of(value, kNodeRows), block);
        place[i] = put(local, role, given.spans[i]);
      }
    }
    for (RowExpression* expression : {&aggregate.message, &aggregate.tail}) {
      for (RowExpression::Step& step : expression->steps) {
        if (step.op == RowExpression::Op::operand) step.argument = place[static_cast<std::size_t>(step.argument)];
      }
    }
    Node copy;
    aggregate.store(copy);
    copy.name = fmt::format("{} {}", node.name, block == kInner ? "inner" : "border");
    copy.inputs = std::move(operands);
    const ValueId result = builder_.add_value("", Type::tensor(DType::f32, aggregate.shape));
    copy.outputs = {result};
    builder_.add_node(std::move(copy));
    return result;
  }

  LocalGraph finish() {
    std::vector<ValueId> exchanged, results;
    std::set<ValueId> outputs;
    const auto keep = [&](ValueId id) {
      if (builder_.producer(id) && outputs.insert(id).second) builder_.add_output(id);
    };
    for (const HaloExchange& exchange : split_.exchanges) {
      exchanged.push_back(id_of(exchange.value, kNodeRows));
      keep(exchanged.back());
    }
    for (const ValueId id : split_.results) {
      results.push_back(id_of(id, kNodeRows));
      keep(results.back());
    }
    // Building renumbers values but keeps their names.
    const auto names = [&](const std::vector<ValueId>& ids) {
      std::vector<std::string> found;
      for (const ValueId id : ids) found.push_back(id == kNoValue ? "" : std::as_const(builder_).value(id).name);
      return found;
    };
    const auto leaf_names = names(leaves_), halo_names = names(halos_), exchanged_names = names(exchanged),
               result_names = names(results);
    const auto level_of_value = levels(exchanged);
    LocalGraph local;
    local.graph = std::make_shared<const Graph>(std::move(builder_).build());
    const auto ids = [&](const std::vector<std::string>& of) {
      std::vector<ValueId> found;
      for (const std::string& name : of)
        found.push_back(name.empty() ? kNoValue : local.graph->find_value(name).value_or(kNoValue));
      return found;
    };
    local.leaves = ids(leaf_names);
    local.halos = ids(halo_names);
    local.exchanged = ids(exchanged_names);
    local.results = ids(result_names);
    cut_into_stages(local, level_of_value);
    return local;
  }

  /// How many exchanges in a row each node has to wait for, by the name of its first result. Nodes are still in the
  /// order in which they were made: a value is computed before what reads rows of it that others own.
  std::map<std::string, std::size_t> levels(const std::vector<ValueId>& exchanged) const {
    std::vector<std::size_t> level(builder_.value_count(), 0);
    std::map<ValueId, ValueId> own_of;  // halo input → own rows of the same value
    for (std::size_t i = 0; i < halos_.size(); ++i) {
      if (halos_[i] != kNoValue) own_of[halos_[i]] = exchanged[i];
    }
    std::map<std::string, std::size_t> by_name;
    for (NodeId id = 0; id < builder_.node_count(); ++id) {
      const Node& node = builder_.node(id);
      std::size_t highest = 0;
      for (const ValueId operand : node.inputs) {
        if (operand == kNoValue) continue;
        const auto own = own_of.find(operand);
        highest = std::max(highest, own == own_of.end() ? level[operand] : level[own->second] + 1);
      }
      for (const ValueId result : node.outputs) {
        if (result == kNoValue) continue;
        level[result] = highest;
        by_name[builder_.value(result).name] = highest;
      }
    }
    return by_name;
  }

  /// Two stages per level: what exchanges of the level send, then everything else.
  static void cut_into_stages(LocalGraph& local, const std::map<std::string, std::size_t>& level_of_value) {
    const Graph& graph = *local.graph;
    std::vector<std::size_t> level(graph.nodes().size(), 0);
    for (NodeId id = 0; id < graph.nodes().size(); ++id) {
      for (const ValueId result : graph.node(id).outputs) {
        if (result != kNoValue) level[id] = level_of_value.at(graph.value(result).name);
      }
    }
    std::vector<bool> is_sent(graph.nodes().size(), false);
    for (const ValueId id : local.exchanged) {
      const auto producer = id == kNoValue ? std::nullopt : graph.producer(id);
      if (producer) is_sent[*producer] = true;
    }
    for (NodeId id = static_cast<NodeId>(graph.nodes().size()); id-- > 0;) {
      if (!is_sent[id]) continue;
      for (const ValueId operand : graph.node(id).inputs) {
        const auto producer = operand == kNoValue ? std::nullopt : graph.producer(operand);
        if (producer && level[*producer] == level[id]) is_sent[*producer] = true;
      }
    }
    for (NodeId id = 0; id < graph.nodes().size(); ++id) {
      const std::size_t stage = 2 * level[id] + (is_sent[id] ? 0 : 1);
      if (local.stages.size() <= stage) local.stages.resize(stage + 1);
      local.stages[stage].push_back(id);
    }
  }

  const GraphSplit& split_;
  const Graph& graph_;
  const RankLayout& layout_;
  GraphBuilder builder_;
  std::map<std::pair<ValueId, RowSpace>, ValueId> ids_;
  std::map<std::vector<std::int64_t>, ValueId> integers_;
  std::map<const Tensor*, ValueId> indices_;
  std::map<std::tuple<ValueId, std::int64_t, std::int64_t>, ValueId> blocks_;
  std::map<ValueId, ValueId> border_rows_;  // by value of the split graph
  std::vector<ValueId> leaves_, halos_;
};

}  // namespace

LocalGraph make_local_graph(const GraphSplit& split, const RankLayout& layout) {
  return LocalBuilder(split, layout).build();
}

}  // namespace sparse_run
