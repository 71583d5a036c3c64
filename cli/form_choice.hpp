// Which way of sharing requests over ranks is the fastest, by simulation.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "cli/options.hpp"
#include "partitioner/planner.hpp"
#include "runtime/distributed/link_probe.hpp"

namespace sparse_run::cli {

struct FormChoice {
  Parallel form = Parallel::data;
  int stages = 0;  ///< of a pipeline; 0: as many as ranks allow
  int groups = 1;  ///< pipelines side by side
};

/// Simulates a stream of requests over `ranks` ranks that are each like this one, joined by a link as measured, or over
/// the topology of the planner when that has so many ranks. Spreading requests wins where nothing is clearly faster:
/// it needs no balance. Says in `notice`, when it is there, what was compared. Error(limit) when nothing fits.
FormChoice choose_form(const PlacementPlanner& planner, const Graph& graph, int ranks, const LinkRates& link,
                       std::int64_t requests, const std::function<void(const std::string&)>& notice);

/// Requests per second of a plan over ranks like this one, joined by a link as measured, when its stages take
/// `stage_s`: in simulation.
double simulated_rate(const PlacementPlanner& planner, const Graph& graph, Plan plan, int ranks, int groups,
                      const LinkRates& link, std::span<const double> stage_s);

}  // namespace sparse_run::cli
