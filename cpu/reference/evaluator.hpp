// The oracle as the evaluator of constant folding.
#pragma once

#include "cpu/reference/reference.hpp"
#include "graph/passes/evaluator.hpp"

namespace sparse_run::reference {

/// Evaluates nodes with reference kernels. Random operators are never folded, so the generator's seed is immaterial.
class ReferenceEvaluator final : public Evaluator {
 public:
  std::vector<Value> evaluate(const Node& node, std::span<const Value> inputs,
                              std::span<const Value> captures) override {
    return run_node(node, inputs, captures, random_);
  }

 private:
  std::mt19937_64 random_{0};
};

}  // namespace sparse_run::reference
