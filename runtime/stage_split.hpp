// Cuts a resolved graph where shapes begin to depend on data.
#pragma once

#include <memory>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// `now` holds every node whose operands have known shapes; data-dependent nodes at its border included. `later` holds
/// the rest: once `now` has run, the types of all of later's inputs are known and it can be resolved in turn.
struct StagedGraph {
  /// Where an output of the original graph comes from.
  struct Source {
    bool later = false;
    std::size_t index = 0;  ///< among the outputs of `now` or `later`
  };
  std::shared_ptr<const Graph> now;
  std::shared_ptr<const Graph> later;     ///< nullptr when everything is in `now`
  std::vector<Source> outputs;            ///< parallel to the original outputs
  std::vector<std::size_t> later_inputs;  ///< for each input of `later`, the output of `now` that feeds it
};

StagedGraph split_stages(const std::shared_ptr<const Graph>& graph);

/// The same graph with its captures as further inputs, after the others: a body that can run by itself.
std::shared_ptr<const Graph> captures_as_inputs(const Graph& body);

}  // namespace sparse_run
