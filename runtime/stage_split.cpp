// Splitting graphs at data-dependent shapes.
#include "runtime/stage_split.hpp"

#include <algorithm>
#include <unordered_map>

namespace sparse_run {

namespace {

/// Nothing more can be learned of this value before it exists.
bool settled(const Type& type) { return type.kind != ValueKind::tensor || type.is_concrete(); }

template <class Visit>
void for_each_operand(const Node& node, const Visit& visit) {
  for (const ValueId id : node.inputs) {
    if (id != kNoValue) visit(id);
  }
  for (const ValueId id : node.captures) visit(id);
}

/// Copies nodes and the values they touch into a builder; values not computed by the nodes become inputs.
class Extract {
 public:
  explicit Extract(const Graph& graph) : graph_(graph), builder_(graph.name()), ids_(graph.values().size(), kNoValue) {}

  ValueId value(ValueId id) {
    if (id == kNoValue) return kNoValue;
    if (ids_[id] != kNoValue) return ids_[id];
    const ValueDef& def = graph_.value(id);
    return ids_[id] = def.constant ? builder_.add_constant(def.name, *def.constant) : builder_.add_value(def.name, def.type);
  }
  void input(ValueId id) {
    const ValueDef& def = graph_.value(id);
    ids_[id] = builder_.add_input(def.name, def.type, def.symbols);
  }
  void node(const Node& node) {
    Node copy = node;
    for (ValueId& id : copy.inputs) id = value(id);
    for (ValueId& id : copy.outputs) id = value(id);
    for (ValueId& id : copy.captures) id = value(id);
    builder_.add_node(std::move(copy));
  }
  void output(ValueId id) { builder_.add_output(value(id)); }
  std::shared_ptr<const Graph> build() { return std::make_shared<const Graph>(std::move(builder_).build()); }

 private:
  const Graph& graph_;
  GraphBuilder builder_;
  std::vector<ValueId> ids_;
};

}  // namespace

StagedGraph split_stages(const std::shared_ptr<const Graph>& graph) {
  StagedGraph staged;
  std::vector<bool> later_value(graph->values().size(), false);
  std::vector<bool> later_node(graph->nodes().size(), false);
  bool any_later = false;
  for (NodeId id = 0; id < graph->nodes().size(); ++id) {
    const Node& node = graph->node(id);
    bool ready = true;
    for_each_operand(node, [&](ValueId operand) {
      if (later_value[operand] || (!graph->value(operand).constant && !settled(graph->value(operand).type))) ready = false;
    });
    if (ready) continue;
    later_node[id] = true;
    any_later = true;
    for (const ValueId output : node.outputs) {
      if (output != kNoValue) later_value[output] = true;
    }
  }
  if (!any_later) {
    staged.now = graph;
    for (std::size_t i = 0; i < graph->outputs().size(); ++i) staged.outputs.push_back({false, i});
    return staged;
  }

  Extract now(*graph);
  for (const ValueId id : graph->inputs()) now.input(id);
  Extract later(*graph);
  std::unordered_map<ValueId, std::size_t> now_outputs;
  const auto export_now = [&](ValueId id) {
    const auto [entry, added] = now_outputs.try_emplace(id, now_outputs.size());
    return std::pair(entry->second, added);
  };
  std::vector<ValueId> order;
  for (std::size_t i = 0; i < graph->outputs().size(); ++i) {
    const ValueId id = graph->outputs()[i];
    if (later_value[id]) continue;
    if (export_now(id).second) order.push_back(id);
  }
  for (NodeId id = 0; id < graph->nodes().size(); ++id) {
    if (!later_node[id]) continue;
    for_each_operand(graph->node(id), [&](ValueId operand) {
      if (later_value[operand] || graph->value(operand).constant) return;
      const auto [index, added] = export_now(operand);
      if (added) order.push_back(operand);
      if (std::find(staged.later_inputs.begin(), staged.later_inputs.end(), index) == staged.later_inputs.end()) {
        staged.later_inputs.push_back(index);
        later.input(operand);
      }
    });
  }
  for (NodeId id = 0; id < graph->nodes().size(); ++id) (later_node[id] ? later : now).node(graph->node(id));
  for (const ValueId id : order) now.output(id);
  std::size_t later_count = 0;
  for (const ValueId id : graph->outputs()) {
    if (later_value[id]) {
      later.output(id);
      staged.outputs.push_back({true, later_count++});
    } else {
      staged.outputs.push_back({false, now_outputs.at(id)});
    }
  }
  staged.now = now.build();
  if (later_count != 0) staged.later = later.build();
  return staged;
}

std::shared_ptr<const Graph> captures_as_inputs(const Graph& body) {
  Extract copy(body);
  for (const ValueId id : body.inputs()) copy.input(id);
  for (const ValueId id : body.captures()) copy.input(id);
  for (const Node& node : body.nodes()) copy.node(node);
  for (const ValueId id : body.outputs()) copy.output(id);
  return copy.build();
}

}  // namespace sparse_run
