// One operator applied to given tensors through inference and oracle: what tests of kernels call.
#pragma once

#include <initializer_list>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cpu/reference/reference.hpp"

namespace sparse_run::reference {

/// An operator of the newest opset, with attributes added one by one: SingleNode("Add").run({a, b}).
class SingleNode {
 public:
  explicit SingleNode(std::string op, int opset = 27) {
    node_.name = "tested";
    node_.op = std::move(op);
    node_.opset = opset;
  }
  SingleNode& with(std::string attribute, Attribute value) {
    node_.attributes.insert_or_assign(std::move(attribute), std::move(value));
    return *this;
  }
  SingleNode& domain(std::string domain) {
    node_.domain = std::move(domain);
    return *this;
  }
  /// Runs with the given operands (a default-constructed tensor stands for an omitted one) and asks for `outputs`.
  std::vector<Value> run_all(std::vector<Value> inputs, std::size_t outputs) {
    node_.inputs.clear();
    node_.outputs.clear();
    ValueId id = 0;
    for (const Value& input : inputs) node_.inputs.push_back(input.absent() ? kNoValue : id++);
    for (std::size_t i = 0; i < outputs; ++i) node_.outputs.push_back(id++);
    std::mt19937_64 random(1);
    return run_node(node_, inputs, {}, random);
  }
  Tensor run(std::vector<Value> inputs) { return run_all(std::move(inputs), 1)[0].tensor; }

 private:
  Node node_;
};

/// The elements of a tensor, for comparison with what a test expects.
template <class T>
std::vector<T> elements(const Tensor& tensor) {
  const auto data = tensor.data<T>();
  return {data.begin(), data.end()};
}

}  // namespace sparse_run::reference
