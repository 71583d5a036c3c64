// The part of a run that several ranks do together: from the inputs to the last result.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cli/inputs.hpp"
#include "cli/kernel_choices.hpp"
#include "cli/options.hpp"
#include "cli/ranks.hpp"
#include "cli/report.hpp"
#include "cli/results.hpp"
#include "partitioner/planner.hpp"
#include "runtime/model_placement.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// What a ranked run needs of the main path. Everything outlives it.
struct RankedContext {
  const Options& options;
  Ranks& ranks;
  Session& session;
  RunReport& report;
  RunOptions run_options;
  std::uint64_t memory_limit = 0;
  std::function<void(const std::string&)> notice;
  std::function<void(const std::string&)> print;  ///< on rank 0's stdout
  std::function<const std::vector<std::unique_ptr<ResultSink>>*()>
      make_sinks;  ///< called on rank 0 when results are wanted
  bool wants_results = true;
  /// A session with this run's devices and options for a part of the model.
  std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>)> make_session;
  /// The same where a plan says which device each node has.
  std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>, const NamedPlacement&)> make_placed_session;
  PlacementPlanner* placement = nullptr;
  Evaluator* evaluator = nullptr;
  PassOptions passes;
  KernelChoices& kernels;  ///< that this run's planner takes over
};

/// Gathers inputs, shares them, compiles, runs and benchmarks, as the options ask. Collective.
void run_across_ranks(RankedContext context);

}  // namespace sparse_run::cli
