// For tests: small graphs written down as expressions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// sketch.op("Add", {x, y}) adds a node and returns its output.
class GraphSketch {
 public:
  using Attributes = std::map<std::string, Attribute, std::less<>>;

  explicit GraphSketch(int opset = 17) : opset_(opset) {}

  ValueId input(std::string name, Shape shape, DType dtype = DType::f32) {
    return builder_.add_input(std::move(name), Type::tensor(dtype, std::move(shape)));
  }
  ValueId constant(Tensor tensor, std::string name = "") {
    return builder_.add_constant(std::move(name), std::move(tensor));
  }
  ValueId number(float value) { return constant(Tensor::scalar(value)); }
  ValueId integers(std::vector<std::int64_t> values) {
    return constant(Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
  }
  ValueId op(std::string name, std::vector<ValueId> inputs, Attributes attributes = {}, std::string_view domain = "") {
    return ops(std::move(name), std::move(inputs), 1, std::move(attributes), domain)[0];
  }
  std::vector<ValueId> ops(std::string name, std::vector<ValueId> inputs, std::size_t outputs,
                           Attributes attributes = {}, std::string_view domain = "") {
    Node node;
    node.op = std::move(name);
    node.domain = domain;
    node.opset = domain.empty() ? opset_ : 1;
    node.inputs = std::move(inputs);
    node.attributes = std::move(attributes);
    for (std::size_t i = 0; i < outputs; ++i) node.outputs.push_back(builder_.add_value(""));
    const auto results = node.outputs;
    builder_.add_node(std::move(node));
    return results;
  }
  void output(ValueId id) { builder_.add_output(id); }
  GraphBuilder& builder() { return builder_; }
  Graph build() { return std::move(builder_).build(); }
  Graph build(ValueId result) {
    output(result);
    return build();
  }

 private:
  int opset_;
  GraphBuilder builder_{"sketch"};
};

/// Operators of a graph in order, to compare with a list.
inline std::vector<std::string> ops_of(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes()) names.push_back(node.op);
  return names;
}

}  // namespace sparse_run
