// One trace of all ranks, on rank 0's clock.
#pragma once

#include <string>

#include "runtime/distributed/cluster.hpp"
#include "runtime/trace.hpp"

namespace sparse_run::cli {

/// Collective: every rank's trace becomes a process of one Chrome trace, times shifted by what heartbeats tell of the
/// clocks. On rank 0 the JSON, elsewhere "".
std::string merged_trace(Cluster& cluster, const Trace& own);

}  // namespace sparse_run::cli
