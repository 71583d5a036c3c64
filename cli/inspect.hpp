// --inspect: a model's interface, its zeros, and whether they will make it faster.
#pragma once

#include <string>

#include "graph/onnx/import.hpp"
#include "graph/passes/evaluator.hpp"
#include "graph/passes/sparsity.hpp"

namespace sparse_run::cli {

/// What zeros do for a layer on this device, by an estimate from their share and pattern.
struct SparsityVerdict {
  bool pays = false;
  std::string reason;
};

/// `weight_type` is that of the stored weight. The thresholds are those of f32 and int8 kernels against dense ones on
/// the same CPU; they are no measurement of this model.
SparsityVerdict judge_sparsity(const Sparsity& sparsity, DType weight_type);

/// Text, or JSON with the same content. Constants are folded first, so that weights behind casts and reshapes show.
std::string inspect_text(const Model& model, const std::string& file, Evaluator& evaluator);
std::string inspect_json(const Model& model, const std::string& file, Evaluator& evaluator);

}  // namespace sparse_run::cli
