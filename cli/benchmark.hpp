// --benchmark: timing requests from inputs in memory to outputs in memory.
#pragma once

#include <span>

#include "cli/options.hpp"
#include "cli/statistics.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

struct BenchmarkResult {
  Scenario scenario = Scenario::latency;
  int streams = 1;
  std::int64_t items_per_request = 1;
  double seconds = 0;  ///< of counting
  Summary latency_ms;  ///< of single requests
  double requests_per_s = 0;
  double items_per_s = 0;  ///< throughput: rows of the batch per second
};

/// Runs the same request on every stream: first for options.warmup seconds, at least once, then counting until
/// options.duration seconds or options.iterations requests in all are over. Errors of any stream are rethrown.
BenchmarkResult run_benchmark(Session& session, std::span<const Value> request, std::int64_t items_per_request,
                              const Options& options, const RunOptions& run_options);

}  // namespace sparse_run::cli
