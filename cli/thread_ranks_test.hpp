// For tests: ranks that are threads of this process, and a stream of requests through a form over all of them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "comm/faults.hpp"
#include "runtime/distributed/cluster.hpp"
#include "runtime/distributed/rank_form.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// A session of one thread on the CPU alone.
std::unique_ptr<Session> one_thread_session(const std::shared_ptr<const Graph>& graph);

/// What may go wrong on the way.
struct StreamTrouble {
  comm::Faults faults = {};  ///< on the link of the last rank
  double deadline_s = 20;
  std::function<void(std::int64_t request)> on_sink = nullptr;  ///< called before a result is taken
};

struct StreamOutcome {
  std::vector<std::vector<Value>> results;  ///< by request
  std::vector<RankReport> reports;          ///< by rank
};

/// Runs `requests` over `size` ranks, whose forms `make` makes in the thread of each. Expects results in order. What a
/// rank throws is thrown, the leader's before the others'.
StreamOutcome run_stream(int size, const std::vector<std::vector<Value>>& requests,
                         const std::function<std::unique_ptr<RankForm>(Cluster&)>& make,
                         const StreamTrouble& trouble = {});

}  // namespace sparse_run::cli
