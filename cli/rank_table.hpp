// What each rank did, as a table for people.
#pragma once

#include <string>
#include <vector>

#include "runtime/distributed/cluster.hpp"
#include "runtime/distributed/request_stream.hpp"

namespace sparse_run::cli {

/// Collective: every rank's report, on rank 0 in order of ranks.
std::vector<RankReport> gather_rank_reports(Cluster& cluster, const RankReport& own);

/// One line per rank: requests, busy and waiting time, bytes, share of transfer time hidden behind computation, bubble.
std::string rank_table(const std::vector<RankReport>& ranks);

}  // namespace sparse_run::cli
