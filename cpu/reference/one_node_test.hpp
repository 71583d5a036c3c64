// Runs a single node with its reference kernel, for tests.
#pragma once

#include <gmock/gmock.h>

#include "cpu/reference/reference.hpp"

namespace sparse_run::reference {

using Attributes = std::map<std::string, Attribute, std::less<>>;

/// Outputs of one node of operator `op`; an absent Value among the inputs is an omitted operand.
inline std::vector<Value> run_one(std::string op, int opset, Attributes attributes, std::vector<Value> inputs,
                                  std::size_t outputs = 1, std::string domain = "") {
  Node node;
  node.name = "tested";
  node.op = std::move(op);
  node.domain = std::move(domain);
  node.opset = opset;
  node.attributes = std::move(attributes);
  ValueId id = 0;
  for (const Value& input : inputs) node.inputs.push_back(input.absent() ? kNoValue : id++);
  for (std::size_t i = 0; i < outputs; ++i) node.outputs.push_back(id++);
  std::mt19937_64 random(0);
  return run_node(node, inputs, {}, random);
}

template <class T>
std::vector<T> elements(const Value& value) {
  const auto data = value.tensor.data<T>();
  return {data.begin(), data.end()};
}

/// The kind of Error that `body` throws; fails the test when it throws none.
template <class Body>
ErrorKind kind_thrown(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "no Error was thrown";
  return ErrorKind::internal;
}

using Ints = std::vector<std::int64_t>;

}  // namespace sparse_run::reference
