// What the parts of a ranked run share: its context, the job, and values of requests.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/interruption.hpp"
#include "cli/rank_inputs.hpp"
#include "cli/ranked_run.hpp"
#include "runtime/distributed/link_probe.hpp"
#include "runtime/job_parts.hpp"

namespace sparse_run::cli {

/// One per rank, for one thread. Members are set in the order in which a run goes through its phases.
struct RankedWork {
  RankedContext context;
  GatheredInputs inputs;  ///< on rank 0, and where a rank reads inputs itself
  SharedJob job;
  std::optional<JobParts> parts;         ///< of a job whose inputs are here
  std::optional<LinkRates> link;         ///< as measured, where it was; rank 0's counts
  std::optional<double> simulated_rate;  ///< requests per second that simulation expects, where it can tell; on rank 0

  const Options& options() const { return context.options; }
  Ranks& ranks() { return context.ranks; }
  bool leads() const { return context.ranks.leads(); }

  /// Runs `body`, each rank's own business, and agrees with the others on how it went.
  template <class Body>
  void phase(std::string_view name, Body&& body) {
    ranks().cluster().phase(name, [&] {
      check_interruption();
      body();
    });
  }

  /// Cuts the inputs of a job into requests, where inputs are here.
  void make_parts();
  /// Requests below zero are those of a benchmark: the first request again and again.
  std::vector<Value> inputs_of(std::int64_t request) const;
  /// 1 for a job's shorter last request, 0 for all others.
  int signature_of(std::int64_t request) const;

  /// The model for full requests.
  Graph resolved() const;
  /// Passes for a graph whose nodes ranks share: they join sums and products of what they have themselves.
  PassOptions passes_for_graphs() const;
  /// The plan file for a graph of this model. Error(usage) when it is none, or that of another model.
  Plan plan_file(const Graph& graph) const;
};

}  // namespace sparse_run::cli
