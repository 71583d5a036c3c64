// Building, checking and sorting graphs.
#include "graph/ir/graph.hpp"

#include <algorithm>
#include <queue>

namespace sparse_run {

std::span<const ValueId> captures_of(const Node& node, std::string_view attribute) {
  std::size_t offset = 0;
  for (const auto& [name, value] : node.attributes) {
    const auto* body = std::get_if<GraphPtr>(&value);
    if (body == nullptr) continue;
    const std::size_t count = (*body)->captures().size();
    require(offset + count <= node.captures.size(), "node lists fewer captures than its bodies have");
    if (name == attribute) return std::span(node.captures).subspan(offset, count);
    offset += count;
  }
  return {};
}

std::optional<NodeId> Graph::producer(ValueId id) const { return producers_[id]; }

std::optional<ValueId> Graph::find_value(std::string_view name) const {
  for (ValueId id = 0; id < values_.size(); ++id) {
    if (values_[id].name == name) return id;
  }
  return std::nullopt;
}

GraphBuilder::GraphBuilder(const Graph& graph) : GraphBuilder(Graph(graph)) {}

GraphBuilder::GraphBuilder(Graph&& graph)
    : name_(std::move(graph.name_)),
      nodes_(std::move(graph.nodes_)),
      removed_(nodes_.size(), false),
      is_edited_(nodes_.size(), false),
      values_(std::move(graph.values_)),
      inputs_(std::move(graph.inputs_)),
      outputs_(std::move(graph.outputs_)),
      captures_(std::move(graph.captures_)),
      output_set_(outputs_.begin(), outputs_.end()) {
  names_.reserve(values_.size());
  for (ValueId id = 0; id < values_.size(); ++id) names_.emplace(values_[id].name, id);
  for (NodeId id = 0; id < nodes_.size(); ++id) mark_edited(id);
}

void GraphBuilder::mark_edited(NodeId id) {
  if (is_edited_[id]) return;
  is_edited_[id] = true;
  edited_.push_back(id);
}

Node& GraphBuilder::node(NodeId id) {
  mark_edited(id);
  return nodes_[id];
}

void GraphBuilder::update_index() const {
  readers_.resize(values_.size());
  writers_.resize(values_.size(), kNoNode);
  for (const NodeId id : edited_) {
    is_edited_[id] = false;
    const auto reads = [&](ValueId value) {
      if (value == kNoValue) return;
      if (readers_[value].empty() || readers_[value].back() != id) readers_[value].push_back(id);
    };
    for (const ValueId value : nodes_[id].inputs) reads(value);
    for (const ValueId value : nodes_[id].captures) reads(value);
    for (const ValueId value : nodes_[id].outputs) {
      if (value != kNoValue) writers_[value] = id;
    }
  }
  edited_.clear();
}

std::optional<NodeId> GraphBuilder::producer(ValueId id) const {
  update_index();
  const NodeId node = writers_[id];
  if (node == kNoNode || removed_[node]) return std::nullopt;
  const auto& outputs = nodes_[node].outputs;
  return std::find(outputs.begin(), outputs.end(), id) == outputs.end() ? std::nullopt : std::optional(node);
}

std::vector<NodeId> GraphBuilder::consumers(ValueId id) const {
  update_index();
  std::vector<NodeId>& known = readers_[id];
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  std::erase_if(known, [&](NodeId node) {
    const auto& inputs = nodes_[node].inputs;
    const auto& captures = nodes_[node].captures;
    return removed_[node] || (std::find(inputs.begin(), inputs.end(), id) == inputs.end() &&
                              std::find(captures.begin(), captures.end(), id) == captures.end());
  });
  return known;
}

void GraphBuilder::add_output(ValueId id) {
  outputs_.push_back(id);
  output_set_.insert(id);
}

void GraphBuilder::set_outputs(std::vector<ValueId> outputs) {
  outputs_ = std::move(outputs);
  output_set_ = std::unordered_set<ValueId>(outputs_.begin(), outputs_.end());
}

std::string GraphBuilder::unique_name(std::string name) {
  if (!name.empty() && !names_.contains(name)) return name;
  for (std::size_t suffix = values_.size();; ++suffix) {
    std::string candidate = fmt::format("{}.{}", name.empty() ? "value" : name, suffix);
    if (!names_.contains(candidate)) return candidate;
  }
}

ValueId GraphBuilder::add_value(std::string name, Type type) {
  const auto id = static_cast<ValueId>(values_.size());
  ValueDef def;
  def.name = unique_name(std::move(name));
  def.type = std::move(type);
  names_.emplace(def.name, id);
  values_.push_back(std::move(def));
  return id;
}

ValueId GraphBuilder::add_input(std::string name, Type type, std::vector<std::string> symbols) {
  const ValueId id = add_value(std::move(name), std::move(type));
  values_[id].symbols = std::move(symbols);
  inputs_.push_back(id);
  return id;
}

ValueId GraphBuilder::add_constant(std::string name, Constant constant) {
  const ValueId id = add_value(std::move(name));
  set_constant(id, std::move(constant));
  return id;
}

ValueId GraphBuilder::add_capture(std::string name, Type type) {
  const ValueId id = add_value(std::move(name), std::move(type));
  captures_.push_back(id);
  return id;
}

NodeId GraphBuilder::add_node(Node node) {
  if (node.name.empty()) node.name = fmt::format("{}_{}", node.op, nodes_.size());
  nodes_.push_back(std::move(node));
  removed_.push_back(false);
  is_edited_.push_back(false);
  const auto id = static_cast<NodeId>(nodes_.size() - 1);
  mark_edited(id);
  return id;
}

void GraphBuilder::set_constant(ValueId id, Constant constant) {
  if (const auto* tensor = std::get_if<Tensor>(&constant)) {
    values_[id].type = Type::tensor(tensor->dtype(), tensor->shape());
  } else {
    const auto& sparse = std::get<SparseTensor>(constant);
    values_[id].type = Type::tensor(sparse.dtype(), sparse.shape);
  }
  values_[id].constant = std::move(constant);
}

void GraphBuilder::make_constant(ValueId id, Constant constant) {
  if (const auto node = producer(id)) {
    std::replace(nodes_[*node].outputs.begin(), nodes_[*node].outputs.end(), id, kNoValue);
  }
  set_constant(id, std::move(constant));
}

void GraphBuilder::replace_uses(ValueId from, ValueId to) {
  if (from == to) return;
  for (const NodeId id : consumers(from)) {
    std::replace(nodes_[id].inputs.begin(), nodes_[id].inputs.end(), from, to);
    std::replace(nodes_[id].captures.begin(), nodes_[id].captures.end(), from, to);
    readers_[to].push_back(id);
  }
  readers_[from].clear();
  if (!is_output(from)) return;
  // The public name of an output is part of the model's interface: hand it to the new value unless that one has a
  // public name of its own (an input, or another output), in which case an Identity keeps the two apart.
  const bool to_is_public = is_output(to) || std::find(inputs_.begin(), inputs_.end(), to) != inputs_.end() ||
                            std::find(captures_.begin(), captures_.end(), to) != captures_.end();
  if (to_is_public) {
    if (const auto node = producer(from)) {
      std::replace(nodes_[*node].outputs.begin(), nodes_[*node].outputs.end(), from, kNoValue);
    }
    Node identity;
    identity.op = "Identity";
    identity.opset = 13;
    identity.inputs = {to};
    identity.outputs = {from};
    values_[from].constant.reset();
    add_node(std::move(identity));
    return;
  }
  std::replace(outputs_.begin(), outputs_.end(), from, to);
  output_set_.erase(from);
  output_set_.insert(to);
  std::swap(values_[from].name, values_[to].name);
  values_[to].symbols = std::move(values_[from].symbols);
  values_[from].symbols.clear();
  names_[values_[from].name] = from;
  names_[values_[to].name] = to;
}

Graph GraphBuilder::build() && {
  constexpr NodeId kNone = kNoNode;
  std::vector<NodeId> writer(values_.size(), kNone);
  for (NodeId id = 0; id < nodes_.size(); ++id) {
    if (removed_[id]) continue;
    for (const ValueId output : nodes_[id].outputs) {
      if (output == kNoValue) continue;
      if (writer[output] != kNone) {
        throw_error(ErrorKind::model, "value '{}' is computed by two nodes: '{}' and '{}'", values_[output].name,
                    nodes_[writer[output]].name, nodes_[id].name);
      }
      writer[output] = id;
    }
  }
  std::vector<bool> given(values_.size(), false);
  for (const ValueId id : inputs_) given[id] = true;
  for (const ValueId id : captures_) given[id] = true;
  for (ValueId id = 0; id < values_.size(); ++id) {
    if (values_[id].constant) given[id] = true;
    if (given[id] && writer[id] != kNone) {
      throw_error(ErrorKind::model, "value '{}' is an input or initializer and also computed by node '{}'",
                  values_[id].name, nodes_[writer[id]].name);
    }
  }

  // Mark what the outputs need, checking that every operand exists.
  const auto operands = [](const Node& node, auto&& visit) {
    for (const ValueId id : node.inputs) {
      if (id != kNoValue) visit(id);
    }
    for (const ValueId id : node.captures) visit(id);
  };
  std::vector<bool> needed(nodes_.size(), false);
  std::vector<bool> used(values_.size(), false);
  std::vector<ValueId> stack;
  const auto need = [&](ValueId id, const std::string& who) {
    if (!given[id] && writer[id] == kNone) {
      throw_error(ErrorKind::model, "{} needs value '{}', which nothing computes", who, values_[id].name);
    }
    if (!used[id]) {
      used[id] = true;
      stack.push_back(id);
    }
  };
  for (const ValueId id : outputs_) need(id, "the graph's output list");
  while (!stack.empty()) {
    const ValueId id = stack.back();
    stack.pop_back();
    const NodeId node = writer[id];
    if (node == kNone || needed[node]) continue;
    needed[node] = true;
    operands(nodes_[node], [&](ValueId operand) { need(operand, nodes_[node].describe()); });
  }

  // Kahn's algorithm, smallest original index first, so that the order is deterministic and close to the model's.
  std::vector<std::uint32_t> waiting(nodes_.size(), 0);
  std::vector<std::vector<NodeId>> readers(values_.size());
  std::priority_queue<NodeId, std::vector<NodeId>, std::greater<>> ready;
  std::size_t needed_count = 0;
  for (NodeId id = 0; id < nodes_.size(); ++id) {
    if (!needed[id]) continue;
    ++needed_count;
    operands(nodes_[id], [&](ValueId operand) {
      if (writer[operand] != kNone) {
        ++waiting[id];
        readers[operand].push_back(id);
      }
    });
    if (waiting[id] == 0) ready.push(id);
  }
  std::vector<NodeId> order;
  while (!ready.empty()) {
    const NodeId id = ready.top();
    ready.pop();
    order.push_back(id);
    for (const ValueId output : nodes_[id].outputs) {
      if (output == kNoValue) continue;
      for (const NodeId reader : readers[output]) {
        if (--waiting[reader] == 0) ready.push(reader);
      }
    }
  }
  if (order.size() != needed_count) {
    for (NodeId id = 0; id < nodes_.size(); ++id) {
      if (needed[id] && waiting[id] != 0) throw_error(ErrorKind::model, "{} is part of a cycle", nodes_[id].describe());
    }
  }

  // Compact: inputs and captures always stay, other values only when used.
  for (const ValueId id : inputs_) used[id] = true;
  for (const ValueId id : captures_) used[id] = true;
  std::vector<ValueId> renamed(values_.size(), kNoValue);
  Graph graph;
  graph.name_ = std::move(name_);
  for (ValueId id = 0; id < values_.size(); ++id) {
    if (!used[id]) continue;
    renamed[id] = static_cast<ValueId>(graph.values_.size());
    graph.values_.push_back(std::move(values_[id]));
  }
  const auto rename = [&](ValueId id) { return id == kNoValue ? kNoValue : renamed[id]; };
  graph.producers_.resize(graph.values_.size());
  graph.consumers_.resize(graph.values_.size());
  for (const NodeId id : order) {
    Node node = std::move(nodes_[id]);
    const auto position = static_cast<NodeId>(graph.nodes_.size());
    std::transform(node.inputs.begin(), node.inputs.end(), node.inputs.begin(), rename);
    std::transform(node.outputs.begin(), node.outputs.end(), node.outputs.begin(), rename);
    std::transform(node.captures.begin(), node.captures.end(), node.captures.begin(), rename);
    while (!node.inputs.empty() && node.inputs.back() == kNoValue) node.inputs.pop_back();
    for (const ValueId output : node.outputs) {
      if (output != kNoValue) graph.producers_[output] = position;
    }
    operands(node, [&](ValueId operand) {
      auto& consumers = graph.consumers_[operand];
      if (consumers.empty() || consumers.back() != position) consumers.push_back(position);
    });
    graph.nodes_.push_back(std::move(node));
  }
  for (const ValueId id : inputs_) graph.inputs_.push_back(rename(id));
  graph.is_output_.resize(graph.values_.size(), false);
  for (const ValueId id : outputs_) {
    graph.outputs_.push_back(rename(id));
    graph.is_output_[graph.outputs_.back()] = true;
  }
  for (const ValueId id : captures_) graph.captures_.push_back(rename(id));
  return graph;
}

}  // namespace sparse_run
