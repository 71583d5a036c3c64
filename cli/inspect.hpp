// --inspect: a model's interface, its zeros, and whether they will make it faster.
#pragma once

#include <string>

#include "graph/onnx/import.hpp"
#include "graph/passes/evaluator.hpp"
#include "graph/passes/sparsity.hpp"

namespace sparse_run::cli {

/// What zeros do for a layer on this machine.
struct SparsityVerdict {
  bool pays = false;
  std::string reason;
};

/// `from` is the share of zeros from which sparse kernels win, as measured for a matrix of the weight's shape.
SparsityVerdict judge_sparsity(const Sparsity& sparsity, double from);

/// Text, or JSON with the same content. Constants are folded first, so that weights behind casts and reshapes show.
std::string inspect_text(const Model& model, const std::string& file, Evaluator& evaluator);
std::string inspect_json(const Model& model, const std::string& file, Evaluator& evaluator);

}  // namespace sparse_run::cli
