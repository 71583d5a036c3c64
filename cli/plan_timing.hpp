// Choosing between plans by running them, and remembering the outcome for the next start.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/options.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// What plans are run with, and what their times depend on besides the plans.
struct PlanTimingContext {
  const Options& options;
  const std::vector<std::shared_ptr<Device>>& devices;
  const std::shared_ptr<Evaluator>& evaluator;
  const SessionOptions& session_options;
  std::string circumstances;  ///< machine, versions, model, topology: other ones, other times
};

/// The seconds of a request under each plan, NaN where one was not run: from the file "plan-timings.json" of the cache
/// folder when these plans have met before, else measured within --plan-timing. A file that is damaged or cannot be
/// written costs the memory and nothing else; `notice` hears of the latter.
std::vector<double> plan_seconds(const PlanTimingContext& context, const Graph& graph, std::span<const Plan> plans,
                                 const std::function<void(const std::string&)>& notice);

}  // namespace sparse_run::cli
