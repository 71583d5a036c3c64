// The two lists of passes a model goes through: once when it is loaded, and once per signature of input shapes.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "graph/passes/evaluator.hpp"
#include "graph/passes/pass.hpp"
#include "graph/passes/resolve.hpp"

namespace sparse_run {

/// Shape independent: run once per model, after fold_constants().
const PassPipeline& load_passes();
/// For concrete shapes: run on what resolve() returned.
const PassPipeline& specialize_passes();

/// Error(usage), listing the passes there are, when a name is that of none.
void check_pass_names(const std::set<std::string, std::less<>>& names);

/// fold_constants(), then load_passes(). The result stands for the model from then on.
Graph optimize(const Graph& graph, Evaluator& evaluator, const PassOptions& options = {},
               std::vector<PassReport>* reports = nullptr, const ResolveOptions& resolving = {});

/// resolve(), then specialize_passes(): the graph to plan and compile for one signature of input shapes.
Graph specialize(const Graph& graph, std::span<const Type> inputs, Evaluator& evaluator,
                 const PassOptions& options = {}, std::vector<PassReport>* reports = nullptr,
                 std::span<const Type> captures = {}, const ResolveOptions& resolving = {});

}  // namespace sparse_run
