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

bool Graph::is_output(ValueId id) const { return std::find(outputs_.begin(), outputs_.end(), id) != outputs_.end(); }

std::optional<ValueId> Graph::find_value(std::string_view name) const {
  for (ValueId id = 0; id < values_.size(); ++id) {
    if (values_[id].name == name) return id;
  }
  return std::nullopt;
}

GraphBuilder::GraphBuilder(const Graph& graph)
    : name_(graph.name_),
      nodes_(graph.nodes_),
      removed_(graph.nodes_.size(), false),
      values_(graph.values_),
      inputs_(graph.inputs_),
      outputs_(graph.outputs_),
      captures_(graph.captures_) {
  for (ValueId id = 0; id < values_.size(); ++id) names_.emplace(values_[id].name, id);
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
  make_constant(id, std::move(constant));
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
  return static_cast<NodeId>(nodes_.size() - 1);
}

void GraphBuilder::make_constant(ValueId id, Constant constant) {
  if (const auto* tensor = std::get_if<Tensor>(&constant)) {
    values_[id].type = Type::tensor(tensor->dtype(), tensor->shape());
  } else {
    const auto& sparse = std::get<SparseTensor>(constant);
    values_[id].type = Type::tensor(sparse.dtype(), sparse.shape);
  }
  values_[id].constant = std::move(constant);
  for (Node& node : nodes_) {
    std::replace(node.outputs.begin(), node.outputs.end(), id, kNoValue);
  }
}

void GraphBuilder::replace_uses(ValueId from, ValueId to) {
  for (NodeId id = 0; id < nodes_.size(); ++id) {
    if (removed_[id]) continue;
    std::replace(nodes_[id].inputs.begin(), nodes_[id].inputs.end(), from, to);
    std::replace(nodes_[id].captures.begin(), nodes_[id].captures.end(), from, to);
  }
  if (std::find(outputs_.begin(), outputs_.end(), from) == outputs_.end()) return;
  // The public name of an output is part of the model's interface: hand it to the new value unless that one has a
  // public name of its own (an input, or another output), in which case an Identity keeps the two apart.
  const bool to_is_public = std::find(outputs_.begin(), outputs_.end(), to) != outputs_.end() ||
                            std::find(inputs_.begin(), inputs_.end(), to) != inputs_.end() ||
                            std::find(captures_.begin(), captures_.end(), to) != captures_.end();
  if (to_is_public) {
    for (Node& node : nodes_) std::replace(node.outputs.begin(), node.outputs.end(), from, kNoValue);
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
  std::swap(values_[from].name, values_[to].name);
  names_[values_[from].name] = from;
  names_[values_[to].name] = to;
}

Graph GraphBuilder::build() && {
  constexpr NodeId kNone = 0xffffffffu;
  std::vector<NodeId> producer(values_.size(), kNone);
  for (NodeId id = 0; id < nodes_.size(); ++id) {
    if (removed_[id]) continue;
    for (const ValueId output : nodes_[id].outputs) {
      if (output == kNoValue) continue;
      if (producer[output] != kNone) {
        throw_error(ErrorKind::model, "value '{}' is computed by two nodes: '{}' and '{}'", values_[output].name,
                    nodes_[producer[output]].name, nodes_[id].name);
      }
      producer[output] = id;
    }
  }
  std::vector<bool> given(values_.size(), false);
  for (const ValueId id : inputs_) given[id] = true;
  for (const ValueId id : captures_) given[id] = true;
  for (ValueId id = 0; id < values_.size(); ++id) {
    if (values_[id].constant) given[id] = true;
    if (given[id] && producer[id] != kNone) {
      throw_error(ErrorKind::model, "value '{}' is an input or initializer and also computed by node '{}'",
                  values_[id].name, nodes_[producer[id]].name);
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
    if (!given[id] && producer[id] == kNone) {
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
    const NodeId node = producer[id];
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
      if (producer[operand] != kNone) {
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
  for (const ValueId id : outputs_) graph.outputs_.push_back(rename(id));
  for (const ValueId id : captures_) graph.captures_.push_back(rename(id));
  return graph;
}

}  // namespace sparse_run
