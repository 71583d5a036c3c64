// How passes compute with constants: a contract that is fulfilled above this layer and handed in.
#pragma once

#include <span>
#include <vector>

#include "graph/ir/node.hpp"
#include "graph/ir/value.hpp"

namespace sparse_run {

/// Runs single nodes on known values. Used by one thread at a time.
class Evaluator {
 public:
  virtual ~Evaluator() = default;

  /// `inputs` parallel to node.inputs (absent values where omitted), `captures` parallel to node.captures; returns
  /// values parallel to node.outputs. Error(unsupported) when there is no kernel for the node: it is then not folded.
  virtual std::vector<Value> evaluate(const Node& node, std::span<const Value> inputs,
                                      std::span<const Value> captures) = 0;
};

}  // namespace sparse_run
